with

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

raw_lines as (

    select * from {{ raw_table('chargebee', 'invoice_lines') }}

),

discounts as (

    select
        source,
        invoice_id,
        sum(discount_amount) as discount

    from raw_lines
    group by all

),

final as (

    select
        raw_invoices.source,
        raw_invoices.id as invoice_id,
        raw_invoices.customer_id,
        raw_invoices.subscription_id,
        raw_invoices.id as number,
        case raw_invoices.status
            when 'paid' then 'paid'
            when 'posted' then 'open'
            when 'payment_due' then 'open'
            when 'not_paid' then 'uncollectible'
            when 'voided' then 'void'
            when 'pending' then 'draft'
        end as status,
        -- Chargebee tells the first invoice of a subscription from the others, not a renewal from a change.
        case
            when raw_invoices.subscription_id is null then 'manual'
            when raw_invoices.first_invoice then 'subscription_create'
        end as billing_reason,
        upper(raw_invoices.currency_code) as currency,
        {%- for column in ['sub_total', 'tax', 'total', 'amount_paid', 'credits_applied'] %}
        {{ chargebee_money('raw_invoices.' ~ column, 'raw_invoices.currency_code') }}
            as {{ 'subtotal' if column == 'sub_total' else column }},
        {%- endfor %}
        {{ chargebee_money('coalesce(discounts.discount, 0)', 'raw_invoices.currency_code') }} as discount,
        -- What was to be paid: the total less credits, whether it has been paid or not.
        {{ chargebee_money(
            'raw_invoices.total - coalesce(raw_invoices.credits_applied, 0)'
            ~ ' - coalesce(raw_invoices.amount_adjusted, 0)', 'raw_invoices.currency_code'
        ) }} as amount_due,
        coalesce(raw_invoices.is_deleted, false) as is_deleted,
        raw_invoices.date as issued_at,
        raw_invoices.due_date as due_at,
        case when raw_invoices.status = 'paid' then raw_invoices.paid_at end as paid_at,
        raw_invoices.voided_at,
        raw_invoices.updated_at,
        raw_invoices._loaded_at as loaded_at

    from raw_invoices
    left join discounts
        on raw_invoices.id = discounts.invoice_id and raw_invoices.source = discounts.source

)

select * from final
