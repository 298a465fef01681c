-- The figures the gates compare, under the names they use for them. The only file here that names dbt's identity
-- and core models. A statement ends with a semicolon at the end of a line.

-- CRM accounts that are there, with the resolved account they belong to and what shows it.
create temp view gate_crm_accounts as
select
    accounts.source, accounts.account_id, links.account, links.method, accounts.name, accounts.domain,
    accounts.lifecycle_stage, accounts.owner_id, accounts.created_at, accounts.billing_customer_id
from crm.accounts as accounts
left join identity.crm_accounts as links
    on accounts.source = links.source and accounts.account_id = links.account_id
where not coalesce(accounts.is_deleted, false);

-- Who reads an address.
create temp view gate_people as
select email, person
from identity.people;

-- Pairs of records that may be one company or person, with the silo of each. Who is deleted is doubted no more.
create temp view gate_candidates as
with deleted as (
    select 'crm:' || source || ':' || account_id as record
    from crm.accounts
    where is_deleted
    union all
    select 'contact:' || source || ':' || contact_id
    from crm.contacts
    where is_deleted
    union all
    select 'lead:' || source || ':' || lead_id
    from crm.leads
    where is_deleted
    union all
    select unnest(['billing:', 'customer:']) || source || ':' || customer_id
    from billing.customers
    where is_deleted
    union all
    select 'recipient:' || source || ':' || recipient_id
    from email.recipients
    where is_deleted
)

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
from identity.candidates
where left_record not in (select record from deleted) and right_record not in (select record from deleted);

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
    source, opportunity_id, account, account_id, primary_contact_id, owner_id,
    case when closed_at >= run.as_of then 'open' else outcome end as outcome, opportunity_type, created_at,
    closed_at, close_date, amount_local, currency, amount as amount_reporting, product, lead_source,
    campaign_id, billing_subscription_id,
    coalesce(opportunity_type, 'new_business') = 'new_business' as is_new_business,
    'worth ' || coalesce(cast(amount_local as decimal(18, 2)) || ' ' || currency, 'nobody knows what') as worth
from core.opportunities
cross join (select as_of from gate_run) as run
where coalesce(created_at < run.as_of, true);

-- Stages an opportunity jumped over once it was there, and those it went back from, and that it was not in since.
create temp view gate_stage_moves as
select
    source, opportunity_id, label, entered_at,
    case when is_imputed then 'skipped ' || label else 'back from ' || label end as move
from core.stage_visits as visits
where
    ((is_imputed and entered_at > created_at) or exit = 'back')
    and not exists (
        select 1 from core.stage_visits as later
        where
            visits.source = later.source
            and visits.opportunity_id = later.opportunity_id
            and visits.label = later.label
            and visits.entered_at < later.entered_at
            and not later.is_imputed
    );

-- Won deals, and whether any campaign ever touched the company before.
create temp view gate_touched_wins as
select source, opportunity_id, bool_or(campaign_key is not null) as is_touched
from core.attribution
where measure = 'revenue'
group by source, opportunity_id;

-- MRR per subscription from one change to the next, in its own currency: at list price, and after discounts.
create temp view gate_spans as
select
    source, subscription_id, customer_id, account, currency, from_at, until_at, list_mrr,
    least(full_mrr, coalesce(nullif(invoiced_mrr, 0), full_mrr)) as net_mrr
from core.subscription_spans
cross join (select as_of from gate_run) as run
where from_at < run.as_of;

-- What a unit of a currency is worth in the month of the run.
create temp view gate_rates as
select rates.currency, rates.rate
from core.closing_rates as rates
cross join gate_run as run
where rates.month = cast(date_trunc('month', run.as_of - interval 1 microsecond) as date);

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

-- What invoices say of an account's MRR beyond all that explains a difference, in the reporting currency.
create temp view gate_walk as
select month, account, mrr, billing_residual
from core.revenue_walk;
