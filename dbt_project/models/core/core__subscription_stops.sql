with

pauses as (

    select * from {{ ref('billing__subscription_pauses') }}
    where not coalesce(is_deleted, false)

),

invoices as (

    select * from {{ ref('billing__invoices') }}
    where not coalesce(is_deleted, false)

),

payments as (

    select * from {{ ref('billing__payments') }}
    where not coalesce(is_deleted, false)

),

-- From the end of grace until the invoice is paid or given up.
unpaid as (

    select
        invoices.source,
        invoices.subscription_id,
        invoices.invoice_id,
        min(payments.attempted_at) + interval {{ var('policies').past_due_grace_days }} day as since_at,
        any_value(least(invoices.paid_at, invoices.voided_at)) as until_at

    from invoices
    inner join payments
        on invoices.source = payments.source and invoices.invoice_id = payments.invoice_id
    where payments.status = 'failed' and invoices.subscription_id is not null
    group by invoices.source, invoices.subscription_id, invoices.invoice_id

),

final as (

    select
        source,
        subscription_id,
        'paused' as reason,
        cast(null as varchar) as invoice_id,
        paused_at as since_at,
        resumed_at as until_at

    from pauses

    union all

    select
        source,
        subscription_id,
        'past_grace' as reason,
        invoice_id,
        since_at,
        until_at

    from unpaid
    where coalesce(since_at < until_at, true)

)

select * from final
