-- Invoices that are past due for more than 30 days, and nobody has done anything about it since.
select
    invoices.invoice_id as key_left,
    cast(invoices.amount_due as decimal(18, 2)) || ' ' || upper(invoices.currency) || ' due '
    || strftime(invoices.due_at, '%Y-%m-%d') as value_left,
    'no task, call or mail since' as value_right,
    customers.account,
    round(invoices.amount_due * rates.rate, 2) as money_at_risk,
    invoices.due_at + interval 30 day as grace_until
from billing.invoices as invoices
cross join gate_run as run
left join gate_billing_accounts as customers
    on invoices.source = customers.source and invoices.customer_id = customers.customer_id
left join gate_rates as rates
    on upper(invoices.currency) = rates.currency
where
    invoices.amount_due > 0
    and coalesce(invoices.status, 'open') not in ('draft', 'void', 'paid', 'uncollectible')
    and not coalesce(invoices.is_deleted, false)
    and invoices.due_at + interval 30 day < run.as_of
    and not exists (
        select 1
        from gate_crm_accounts as accounts
        inner join crm.activities as activities
            on accounts.source = activities.source and accounts.account_id = activities.account_id
        where
            accounts.account = customers.account
            and activities.occurred_at >= invoices.due_at
            and coalesce(activities.direction, 'outbound') = 'outbound'
            and not coalesce(activities.is_automated, false)
            and not coalesce(activities.is_deleted, false)
    )
