-- Money that went back, by our will or, in a reversal, by the bank's.
with

raw_transactions as (

    select * from {{ raw_table('chargebee', 'transactions') }}
    where type in ('refund', 'payment_reversal')

),

reversed_payments as (

    select * from {{ raw_table('chargebee', 'transactions') }}
    where type = 'payment' and reversal_transaction_id is not null

),

payments as (

    select * from {{ ref('stg_chargebee__payments') }}

),

linked as (

    select
        raw_transactions.*,
        coalesce(
            raw_transactions.refunded_txn_id, raw_transactions.reference_transaction_id, reversed_payments.id
        ) as payment_id

    from raw_transactions
    left join reversed_payments
        on
            raw_transactions.id = reversed_payments.reversal_transaction_id
            and raw_transactions.source = reversed_payments.source

),

final as (

    select
        linked.source,
        linked.id as refund_id,
        linked.payment_id,
        payments.invoice_id,
        {{ chargebee_money('linked.amount', 'linked.currency_code') }} as amount,
        upper(linked.currency_code) as currency,
        -- One that failed moved no money.
        coalesce(linked.is_deleted, false)
        or linked.status not in ('success', 'in_progress', 'needs_attention') as is_deleted,
        linked.date as refunded_at,
        linked.updated_at,
        linked._loaded_at as loaded_at

    from linked
    left join payments
        on linked.payment_id = payments.payment_id and linked.source = payments.source

)

select * from final
