-- Invoices that are paid by another amount than arrived. Vendors differ in whether a refund makes an invoice less paid.
with received as (
    select
        source,
        invoice_id,
        sum(amount) as amount
    from billing.payments
    where status = 'succeeded' and not coalesce(is_deleted, false)
    group by all
),

returned as (
    select
        source,
        invoice_id,
        sum(amount) as amount
    from billing.refunds
    where not coalesce(is_deleted, false)
    group by all
),

compared as (
    select
        invoices.*,
        coalesce(received.amount, 0) as received,
        coalesce(returned.amount, 0) as returned
    from billing.invoices as invoices
    cross join gate_run as run
    left join received
        on invoices.source = received.source and invoices.invoice_id = received.invoice_id
    left join returned
        on invoices.source = returned.source and invoices.invoice_id = returned.invoice_id
    where
        invoices.amount_paid is not null
        and coalesce(invoices.status, 'open') not in ('draft', 'void')
        and not coalesce(invoices.is_deleted, false)
        and invoices.issued_at < run.as_of
        and invoices.source in (select source from billing.payments)
)

select
    compared.invoice_id as key_left,
    'paid ' || cast(compared.amount_paid as decimal(18, 2)) || ' ' || upper(compared.currency) as value_left,
    'received ' || cast(compared.received as decimal(18, 2))
    || case when compared.returned > 0 then ', returned ' || cast(compared.returned as decimal(18, 2)) else '' end
        as value_right,
    customers.account,
    round(abs(compared.amount_paid - compared.received) * rates.rate, 2) as money_at_risk
from compared
left join gate_billing_accounts as customers
    on compared.source = customers.source and compared.customer_id = customers.customer_id
left join gate_rates as rates
    on upper(compared.currency) = rates.currency
where
    abs(compared.amount_paid - compared.received) > 0.01
    and abs(compared.amount_paid - compared.received + compared.returned) > 0.01
