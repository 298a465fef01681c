with

raw_subscriptions as (

    select * from {{ raw_table('chargebee', 'subscriptions') }}

),

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

in_dunning as (

    select distinct
        source,
        subscription_id

    from raw_invoices
    where
        dunning_status = 'in_progress'
        and status in ('payment_due', 'not_paid')
        and not coalesce(is_deleted, false)

),

-- When a subscription was cancelled, or is set to be, is one field.
final as (

    select
        raw_subscriptions.source,
        raw_subscriptions.id as subscription_id,
        raw_subscriptions.customer_id,
        case
            when raw_subscriptions.status = 'in_trial' then 'trialing'
            when raw_subscriptions.status in ('cancelled', 'transferred') then 'canceled'
            when raw_subscriptions.status = 'future' then 'incomplete'
            when raw_subscriptions.status = 'paused' then 'paused'
            when in_dunning.subscription_id is not null then 'past_due'
            else 'active'
        end as status,
        upper(raw_subscriptions.currency_code) as currency,
        case
            when raw_subscriptions.cancelled_at is null then null
            when raw_subscriptions.cancel_reason in ('not_paid', 'no_card') then 'payment_failed'
            when raw_subscriptions.cancel_reason is not null then raw_subscriptions.cancel_reason
            else 'cancellation_requested'
        end as cancellation_reason,
        raw_subscriptions.cancel_reason_code,
        raw_subscriptions.cancelled_at is null
        and coalesce(raw_subscriptions.remaining_billing_cycles > 0, true) as auto_renew,
        coalesce(raw_subscriptions.is_deleted, false) as is_deleted,
        raw_subscriptions.created_at,
        coalesce(raw_subscriptions.started_at, raw_subscriptions.start_date) as started_at,
        raw_subscriptions.trial_start,
        raw_subscriptions.trial_end,
        coalesce(raw_subscriptions.current_term_start, raw_subscriptions.trial_start) as current_period_start,
        coalesce(raw_subscriptions.current_term_end, raw_subscriptions.trial_end) as current_period_end,
        case
            when raw_subscriptions.status <> 'cancelled' then raw_subscriptions.cancelled_at
        end as cancel_at,
        least(raw_subscriptions.cancel_schedule_created_at, raw_subscriptions.cancelled_at) as canceled_at,
        case raw_subscriptions.status
            when 'cancelled' then raw_subscriptions.cancelled_at
            -- It goes on at another business entity, under another id; nothing else dates that.
            when 'transferred' then coalesce(raw_subscriptions.cancelled_at, raw_subscriptions.updated_at)
        end as ended_at,
        raw_subscriptions.updated_at,
        raw_subscriptions._loaded_at as loaded_at

    from raw_subscriptions
    left join in_dunning
        on
            raw_subscriptions.id = in_dunning.subscription_id
            and raw_subscriptions.source = in_dunning.source

)

select * from final
