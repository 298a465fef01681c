-- A CRM account names a billing customer that belongs to another account by its own ids.
with customers as (
    select customer_id, any_value(source) as source, any_value(account) as account
    from gate_billing_accounts
    group by customer_id
    having count(*) = 1
)

select
    crm.account_id as key_left,
    'names customer ' || customers.customer_id as value_left,
    customers.customer_id as key_right,
    'belongs to ' || customers.account as value_right,
    customers.account,
    12 * coalesce(
        (
            select sum(mrr.mrr_reporting) from gate_mrr_now as mrr
            where mrr.source = customers.source and mrr.customer_id = customers.customer_id
        ), 0
    ) as money_at_risk
from gate_crm_accounts as crm
inner join customers on crm.billing_customer_id = customers.customer_id
where crm.account <> customers.account
