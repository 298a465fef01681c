-- Customers with running revenue whom the CRM does not know.
select
    customers.customer_id as key_left,
    'pays ' || cast(sum(mrr.mrr_reporting) as decimal(18, 2)) || ' ' || any_value(run.currency) || ' a month'
        as value_left,
    'no CRM account' as value_right,
    customers.account,
    12 * sum(mrr.mrr_reporting) as money_at_risk
from gate_billing_accounts as customers
inner join gate_mrr_now as mrr
    on customers.source = mrr.source and customers.customer_id = mrr.customer_id
cross join gate_run as run
where
    not exists (select 1 from gate_crm_accounts as crm where crm.account = customers.account)
group by customers.source, customers.customer_id, customers.account
having sum(mrr.mrr_reporting) > 0
