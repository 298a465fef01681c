with

raw_invoices as (

    select * from {{ raw_table('stripe', 'invoices') }}

),

raw_lines as (

    select * from {{ raw_table('stripe', 'invoice_lines') }}

),

raw_subscriptions as (

    select * from {{ raw_table('stripe', 'subscriptions') }}

),

-- The lines tell the period an invoice bills; the invoice's own period is the one before.
billed_periods as (

    select
        raw_invoices.source,
        raw_invoices.subscription_id,
        raw_invoices.id as invoice_id,
        -- A bill of a pause is voided as soon as it is issued: nobody ever tried to collect it.
        raw_invoices.status = 'void'
        and raw_invoices.billing_reason = 'subscription_cycle'
        and coalesce(raw_invoices.attempt_count, 0) = 0 as is_pause,
        raw_invoices.status not in ('void', 'draft') as is_billed,
        min(raw_lines.period_start) as period_start,
        max(raw_lines.period_end) as period_end,
        max(raw_invoices._loaded_at) as loaded_at

    from raw_invoices
    inner join raw_lines
        on raw_invoices.id = raw_lines.invoice_id and raw_invoices.source = raw_lines.source
    where
        raw_invoices.subscription_id is not null
        and raw_lines.subscription_item_id is not null
        and not raw_lines.is_proration
    group by all

),

replaced as (

    select * from billed_periods
    where is_billed

),

paused_periods as (

    select
        billed_periods.source,
        billed_periods.subscription_id,
        billed_periods.period_start,
        max(billed_periods.period_end) as period_end,
        max(billed_periods.loaded_at) as loaded_at

    from billed_periods
    anti join replaced
        on
            billed_periods.subscription_id = replaced.subscription_id
            and billed_periods.source = replaced.source
            and billed_periods.period_start = replaced.period_start
    where billed_periods.is_pause
    group by all

),

with_previous as (

    select
        *,
        lag(period_end) over (
            partition by source, subscription_id
            order by period_start
        ) as previous_end

    from paused_periods

),

numbered as (

    select
        *,
        count_if(previous_end is null or previous_end <> period_start) over (
            partition by source, subscription_id
            order by period_start
        ) as pause_number

    from with_previous

),

pauses as (

    select
        source,
        subscription_id,
        pause_number,
        min(period_start) as paused_at,
        max(period_end) as resumed_at,
        max(loaded_at) as loaded_at

    from numbered
    group by all

),

final as (

    select
        pauses.source,
        pauses.subscription_id,
        pauses.paused_at,
        -- A pause that reaches into the present period and is still on has no end yet, unless one is set.
        case
            when
                raw_subscriptions.pause_behavior is not null
                and pauses.resumed_at >= raw_subscriptions.current_period_end
                then raw_subscriptions.pause_resumes_at
            else pauses.resumed_at
        end as resumed_at,
        pauses.loaded_at

    from pauses
    left join raw_subscriptions
        on pauses.subscription_id = raw_subscriptions.id and pauses.source = raw_subscriptions.source

)

select * from final
