with

raw_charges as (

    select * from {{ raw_table('stripe', 'charges') }}

),

raw_invoice_payments as (

    select * from {{ raw_table('stripe', 'invoice_payments') }}

),

-- One invoice per payment: where a payment was spread over several, the first.
invoice_of_payment as (

    select
        source,
        payment_id,
        min(invoice_id) as invoice_id

    from raw_invoice_payments
    group by all

),

linked as (

    select
        raw_charges.*,
        coalesce(by_intent.invoice_id, by_charge.invoice_id) as invoice_id

    from raw_charges
    left join invoice_of_payment as by_intent
        on raw_charges.payment_intent_id = by_intent.payment_id and raw_charges.source = by_intent.source
    left join invoice_of_payment as by_charge
        on raw_charges.id = by_charge.payment_id and raw_charges.source = by_charge.source

),

final as (

    select
        source,
        id as payment_id,
        invoice_id,
        customer_id,
        status,
        failure_code,
        cast(
            row_number() over (
                partition by source, coalesce(invoice_id, payment_intent_id, id)
                order by created, id
            ) as integer
        ) as attempt,
        {{ stripe_money('amount', 'currency') }} as amount,
        upper(currency) as currency,
        coalesce(is_deleted, false) as is_deleted,
        created as attempted_at,
        _loaded_at as loaded_at

    from linked

)

select * from final
