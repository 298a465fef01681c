with

raw_invoices as (

    select * from {{ raw_table('stripe', 'invoices') }}

),

final as (

    select
        source,
        id as invoice_id,
        customer_id,
        subscription_id,
        number,
        status,
        billing_reason,
        upper(currency) as currency,
        {{ stripe_money('subtotal', 'currency') }} as subtotal,
        {{ stripe_money('discount', 'currency') }} as discount,
        {{ stripe_money('tax', 'currency') }} as tax,
        {{ stripe_money('total', 'currency') }} as total,
        {{ stripe_money('amount_paid', 'currency') }} as amount_paid,
        {{ stripe_money('amount_due', 'currency') }} as amount_due,
        coalesce(is_deleted, false) as is_deleted,
        coalesce(finalized_at, created) as issued_at,
        due_date as due_at,
        paid_at,
        voided_at,
        _loaded_at as loaded_at

    from raw_invoices

)

select * from final
