-- Credits open nothing: they name the old price and quantity. A change inside a free trial has credits of
-- zero, so the description, which Stripe writes, decides there.
with

raw_invoices as (

    select * from {{ raw_table('stripe', 'invoices') }}

),

raw_lines as (

    select * from {{ raw_table('stripe', 'invoice_lines') }}

),

prices as (

    select * from {{ ref('stg_stripe__prices') }}

),

lines as (

    select
        raw_lines.source,
        raw_lines.subscription_id,
        raw_lines.subscription_item_id,
        raw_lines.price_id,
        raw_lines.quantity,
        raw_lines.period_start,
        raw_lines.period_end,
        raw_lines.is_proration,
        raw_lines.is_proration
        and (raw_lines.amount < 0 or coalesce(raw_lines.description, '') ilike 'unused time%') as is_credit,
        raw_invoices.created as invoiced_at,
        raw_lines.id as invoice_line_id,
        raw_lines._loaded_at as loaded_at

    from raw_lines
    inner join raw_invoices
        on raw_lines.invoice_id = raw_invoices.id and raw_lines.source = raw_invoices.source
    inner join prices
        on raw_lines.price_id = prices.price_id and raw_lines.source = prices.source
    where
        raw_lines.subscription_item_id is not null
        and prices.is_recurring
        and prices.usage_type is distinct from 'metered'
        and raw_invoices.status is distinct from 'draft'
        and not coalesce(raw_invoices.is_deleted, false)

),

-- What holds from an instant on is what was billed for it last; a credit counts only where nothing was.
last_word as (

    select * from lines
    qualify row_number() over (
        partition by source, subscription_item_id, period_start
        order by is_credit asc, invoiced_at desc, is_proration desc, invoice_line_id desc
    ) = 1

),

final as (

    select
        source,
        subscription_id,
        subscription_item_id,
        case when not is_credit then price_id end as price_id,
        case when not is_credit then quantity end as quantity,
        is_credit as is_end,
        period_start as changed_at,
        period_end,
        loaded_at

    from last_word

)

select * from final
