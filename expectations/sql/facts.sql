-- The figures the gates compare, under the names they use for them. The only file here that names dbt's identity
-- and core models. A statement ends with a semicolon at the end of a line.

-- CRM accounts that are there, with the resolved account they belong to and what shows it.
create temp view gate_crm_accounts as
select
    accounts.source, accounts.account_id, links.account, links.method, accounts.lifecycle_stage,
    accounts.created_at, accounts.billing_customer_id
from crm.accounts as accounts
left join identity.crm_accounts as links
    on accounts.source = links.source and accounts.account_id = links.account_id
where not coalesce(accounts.is_deleted, false);

-- Who reads an address.
create temp view gate_people as
select email, person
from identity.people;

-- Pairs of records that may be one company or person, with the silo of each.
create temp view gate_candidates as
select
    left_record, right_record, method, evidence, score, why,
    case kind when 'account' then left_known_as end as account,
    case
        when split_part(left_record, ':', 1) in ('billing', 'customer') then 'billing'
        when split_part(left_record, ':', 1) in ('recipient', 'event') then 'email'
        else 'crm'
    end as left_silo,
    case
        when split_part(right_record, ':', 1) in ('billing', 'customer') then 'billing'
        when split_part(right_record, ':', 1) in ('recipient', 'event') then 'email'
        else 'crm'
    end as right_silo
from identity.candidates;

-- Every billing customer ever, with its resolved account.
create temp view gate_billing_accounts as
select customers.source, customers.customer_id, links.account
from billing.customers as customers
left join identity.billing_customers as links
    on customers.source = links.source and customers.customer_id = links.customer_id
cross join gate_run as run
where coalesce(customers.created_at < run.as_of, true);

-- Deals that are there, with their resolved account, in their own and in the reporting currency.
create temp view gate_opportunities as
select
    source, opportunity_id, account, outcome, opportunity_type, closed_at, amount_local, currency,
    amount as amount_reporting
from core.opportunities;

-- MRR per subscription at each month's end, in its own currency.
create temp view gate_subscription_months as
select month, source, subscription_id, customer_id, currency, mrr
from core.subscription_mrr;

-- The same per resolved account: what the bridge is made of.
create temp view gate_account_mrr as
select month, account, currency, mrr
from core.account_mrr;

-- The bridge, in the reporting currency.
create temp view gate_account_months as
select
    month, account, opening, closing,
    "new" + reactivation + expansion + contraction + churn + fx as movements
from core.mrr_monthly;

-- MRR per subscription as of the run, in the reporting currency.
create temp view gate_mrr_now as
select
    subscriptions.source, subscriptions.subscription_id, subscriptions.customer_id,
    cast(round(subscriptions.mrr * rates.rate, 2) as decimal(18, 2)) as mrr_reporting
from gate_subscription_months as subscriptions
cross join gate_run as run
left join core.closing_rates as rates
    on subscriptions.month = rates.month and subscriptions.currency = rates.currency
where subscriptions.month = cast(date_trunc('month', run.as_of - interval 1 microsecond) as date);
