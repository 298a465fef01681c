-- Authorizations hold money and move none; those that are captured are payments of their own.
with

raw_transactions as (

    select * from {{ raw_table('chargebee', 'transactions') }}
    where type = 'payment'

),

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

invoice_links as (

    select
        source,
        id as invoice_id,
        unnest(json_extract_string(linked_payments, '$[*].txn_id')) as payment_id

    from raw_invoices

),

payment_links as (

    select
        source,
        id as payment_id,
        unnest(json_extract_string(linked_invoices, '$[*].invoice_id')) as invoice_id

    from raw_transactions

),

links as (

    select source, payment_id, invoice_id from payment_links
    union
    select source, payment_id, invoice_id from invoice_links

),

-- One invoice per payment: where a payment was spread over several, the first.
invoice_of_payment as (

    select
        source,
        payment_id,
        min(invoice_id) as invoice_id

    from links
    group by all

),

final as (

    select
        raw_transactions.source,
        raw_transactions.id as payment_id,
        invoice_of_payment.invoice_id,
        raw_transactions.customer_id,
        case
            when raw_transactions.status = 'success' then 'succeeded'
            when raw_transactions.status in ('in_progress', 'needs_attention') then 'pending'
            else 'failed'
        end as status,
        raw_transactions.error_code as failure_code,
        cast(
            row_number() over (
                partition by
                    raw_transactions.source,
                    coalesce(invoice_of_payment.invoice_id, raw_transactions.id)
                order by raw_transactions.date, raw_transactions.id
            ) as integer
        ) as attempt,
        {{ chargebee_money('raw_transactions.amount', 'raw_transactions.currency_code') }} as amount,
        upper(raw_transactions.currency_code) as currency,
        -- One that was voided never was an attempt to collect.
        coalesce(raw_transactions.is_deleted, false) or raw_transactions.status = 'voided' as is_deleted,
        raw_transactions.date as attempted_at,
        raw_transactions.updated_at,
        raw_transactions._loaded_at as loaded_at

    from raw_transactions
    left join invoice_of_payment
        on
            raw_transactions.id = invoice_of_payment.payment_id
            and raw_transactions.source = invoice_of_payment.source

)

select * from final
