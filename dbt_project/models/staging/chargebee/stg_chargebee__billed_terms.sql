-- A change in the middle of a term is a credit note for what was billed and an invoice for what holds
-- instead, or one of them for the difference: what is billed less what is given back is right in both cases.
with

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

raw_invoice_lines as (

    select * from {{ raw_table('chargebee', 'invoice_lines') }}

),

raw_credit_notes as (

    select * from {{ raw_table('chargebee', 'credit_notes') }}

),

raw_credit_note_lines as (

    select * from {{ raw_table('chargebee', 'credit_note_lines') }}

),

prices as (

    select * from {{ ref('stg_chargebee__prices') }}

),

charged as (

    select
        raw_invoice_lines.source,
        raw_invoice_lines.id as line_id,
        raw_invoice_lines.subscription_id,
        raw_invoice_lines.entity_id,
        raw_invoice_lines.quantity,
        raw_invoice_lines.quantity_in_decimal,
        raw_invoice_lines.unit_amount,
        raw_invoice_lines.pricing_model,
        raw_invoice_lines.metered,
        raw_invoice_lines.date_from,
        raw_invoice_lines.date_to,
        raw_invoices.currency_code,
        raw_invoices.date as billed_at,
        false as is_credit,
        raw_invoice_lines._loaded_at as loaded_at

    from raw_invoice_lines
    inner join raw_invoices
        on
            raw_invoice_lines.invoice_id = raw_invoices.id
            and raw_invoice_lines.source = raw_invoices.source
    where
        not coalesce(raw_invoices.is_deleted, false)
        and raw_invoices.status <> 'pending'
    -- A voided bill tells what was in force, unless another took its place.
    qualify
        raw_invoices.status <> 'voided'
        or not bool_or(raw_invoices.status <> 'voided') over (
            partition by
                raw_invoice_lines.source,
                raw_invoice_lines.subscription_id,
                raw_invoice_lines.entity_id,
                raw_invoice_lines.date_from
        )

),

-- Other credit notes give money back for what stays in force.
credited as (

    select
        raw_credit_note_lines.source,
        raw_credit_note_lines.id as line_id,
        raw_credit_note_lines.subscription_id,
        raw_credit_note_lines.entity_id,
        raw_credit_note_lines.quantity,
        raw_credit_note_lines.quantity_in_decimal,
        cast(null as bigint) as unit_amount,
        raw_credit_note_lines.pricing_model,
        raw_credit_note_lines.metered,
        raw_credit_note_lines.date_from,
        raw_credit_note_lines.date_to,
        raw_credit_notes.currency_code,
        raw_credit_notes.date as billed_at,
        true as is_credit,
        raw_credit_note_lines._loaded_at as loaded_at

    from raw_credit_note_lines
    inner join raw_credit_notes
        on
            raw_credit_note_lines.credit_note_id = raw_credit_notes.id
            and raw_credit_note_lines.source = raw_credit_notes.source
    where
        not coalesce(raw_credit_notes.is_deleted, false)
        and raw_credit_notes.status is distinct from 'voided'
        and raw_credit_notes.reason_code in (
            'subscription_change', 'subscription_cancellation', 'subscription_pause'
        )

),

lines as (

    select * from charged
    union all by name
    select * from credited

),

final as (

    select
        lines.source,
        lines.line_id,
        lines.subscription_id,
        prices.price_id,
        coalesce(try_cast(lines.quantity_in_decimal as decimal(18, 4)), lines.quantity, 1)
        * case when lines.is_credit then -1 else 1 end as quantity,
        -- A part of a term does not tell the price, nor do several at once (a monthly add-on, billed yearly).
        case
            when
                lines.is_credit
                or coalesce(lines.pricing_model, 'per_unit') not in ('per_unit', 'flat_fee')
                or lines.date_to
                < {{ chargebee_term_end('lines.date_from', 'prices.interval', 'prices.interval_count') }}
                then null
            when
                lines.date_to
                >= {{ chargebee_term_end('lines.date_from', 'prices.interval', '2 * prices.interval_count') }}
                then prices.unit_amount
            else {{ chargebee_money('lines.unit_amount', 'lines.currency_code') }}
        end as unit_amount,
        lines.is_credit,
        lines.date_from,
        lines.date_to,
        lines.billed_at,
        lines.loaded_at

    from lines
    inner join prices
        on lines.entity_id = prices.price_id and lines.source = prices.source
    where
        lines.subscription_id is not null
        and prices.is_recurring
        and prices.usage_type <> 'metered'
        and not coalesce(lines.metered, false)
        and lines.date_from < lines.date_to

)

select * from final
