with

raw_refunds as (

    select * from {{ raw_table('stripe', 'refunds') }}

),

payments as (

    select * from {{ ref('stg_stripe__payments') }}

),

final as (

    select
        raw_refunds.source,
        raw_refunds.id as refund_id,
        raw_refunds.charge_id as payment_id,
        payments.invoice_id,
        {{ stripe_money('raw_refunds.amount', 'raw_refunds.currency') }} as amount,
        upper(raw_refunds.currency) as currency,
        -- A refund the bank sent back moved no money.
        coalesce(raw_refunds.is_deleted, false)
        or coalesce(raw_refunds.status, 'succeeded') in ('failed', 'canceled') as is_deleted,
        raw_refunds.created as refunded_at,
        raw_refunds._loaded_at as loaded_at

    from raw_refunds
    left join payments
        on raw_refunds.charge_id = payments.payment_id and raw_refunds.source = payments.source

)

select * from final
