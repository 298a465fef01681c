-- After the company of benchmarks.identity. Every second account is a customer, since one of the 36 months; every
-- account has an opportunity, which moves through the stages in some weeks. A third of the customers changes price, a
-- tenth has a discount, a fifth leaves.
create macro month_start(n) as timestamptz '2023-11-01' + to_months(cast(n as integer));
create macro some_currency(n) as ['USD', 'USD', 'USD', 'EUR', 'GBP'][1 + drawn(n, 'currency', 5)];
insert into finance.fx_rates by name
select 'sheets' as source, cast(unnest(range(date '2023-11-01', date '2026-11-01', interval 1 day)) as date) as rate_date,
    'EUR' as currency, 1.1 as rate;
insert into finance.fx_rates by name
select 'sheets' as source, rate_date, 'GBP' as currency, rate + 0.15 as rate from finance.fx_rates where currency = 'EUR';
create table main.buyers as
select cast(substr(customer_id, 2) as integer) as n, customer_id, drawn(customer_id, 'since', 29) as since
from billing.customers;
alter table main.buyers add column until integer;
update main.buyers set until = since + 3 + drawn(n, 'until', 24) where n % 5 = 0;
update main.buyers set until = null where until >= 36;
insert into billing.prices by name
select 'pay' as source, 'price' || range as price_id, 'plan ' || range as plan_name, 'Suite' as product_name, 'month' as interval,
    1 as interval_count, 50 * (range + 1) as unit_amount, 'USD' as currency, 'licensed' as usage_type, true as is_recurring
from range(5);
insert into billing.subscriptions by name
select
    'pay' as source, 's' || n as subscription_id, customer_id, if(until is null, 'active', 'canceled') as status,
    some_currency(n) as currency, month_start(since) as created_at, month_start(since) as started_at,
    month_start(until) as canceled_at, month_start(until) as ended_at, true as auto_renew
from main.buyers;
insert into billing.subscription_items by name
select
    'pay' as source, 'i' || n as subscription_item_id, 's' || n as subscription_id,
    'price' || drawn(n, 'plan', 5) as price_id, 1 + drawn(n, 'seats', 40) as quantity,
    50 * (drawn(n, 'plan', 5) + 1) as unit_amount, some_currency(n) as currency, 'month' as interval,
    1 as interval_count, month_start(since) as valid_from,
    if(n % 3 = 0, month_start(since + 4), null) as valid_to
from main.buyers
union all
select
    'pay', 'i' || n, 's' || n, 'price' || drawn(n, 'plan', 5), 1 + drawn(n, 'later seats', 60),
    50 * (drawn(n, 'plan', 5) + 1), some_currency(n), 'month', 1, month_start(since + 4), null
from main.buyers where n % 3 = 0;
insert into billing.discounts by name
select 'pay' as source, 'd' || n as discount_id, customer_id, 's' || n as subscription_id, 10 as percent_off,
    month_start(since) as starts_at, month_start(since + 6) as ends_at
from main.buyers where n % 10 = 0;
create table main.bills as
select n, customer_id, unnest(range(since, coalesce(until, 36))) as month from main.buyers;
insert into billing.invoices by name
select
    'pay' as source, 'in' || n || '-' || month as invoice_id, customer_id, 's' || n as subscription_id, 'paid' as status,
    items.currency, amount as subtotal, 0 as discount, 0 as tax, amount as total, amount as amount_paid, 0 as amount_due,
    month_start(month) as issued_at, month_start(month) + interval 14 day as due_at,
    month_start(month) + to_days(cast(drawn(n + month, 'paid', 20) as integer)) as paid_at
from main.bills inner join (
    select subscription_id, min(currency) as currency, min(quantity * unit_amount) as amount
    from billing.subscription_items group by all
) as items on 's' || n = items.subscription_id;
insert into billing.invoice_lines by name
select
    'pay' as source, 'l' || invoices.invoice_id as invoice_line_id, invoice_id, subscription_id, 1 as quantity,
    total as amount, currency, issued_at as period_start, issued_at + interval 1 month as period_end,
    false as is_proration, true as is_recurring
from billing.invoices as invoices;
insert into billing.payments by name
select 'pay' as source, 'p' || invoice_id as payment_id, invoice_id, customer_id, total as amount, currency,
    'succeeded' as status, 1 as attempt, paid_at as attempted_at
from billing.invoices
union all
select 'pay', 'f' || invoice_id, invoice_id, customer_id, total, currency, 'failed', 1, issued_at
from billing.invoices where hash(invoice_id) % 40 = 0;
insert into crm.owners by name
select 'hub' as source, 'o' || range as owner_id, 'Rep ' || range as name, 'rep' || range || '@us.example' as email,
    ['North', 'South', 'East', 'West'][1 + range % 4] as team, 'EMEA' as region, true as is_active
from range(40);
insert into crm.stages by name
select 'hub' as source, 'sales' as pipeline, unnest(['new', 'demo', 'offer', 'won', 'lost']) as stage,
    unnest(['New', 'Demo', 'Offer', 'Won', 'Lost']) as label, unnest(range(5)) as position,
    unnest([0.1, 0.4, 0.7, 1, 0]) as probability, unnest(['open', 'open', 'open', 'won', 'lost']) as outcome;
create table main.deals as
select
    cast(substr(account_id, 2) as integer) as n, account_id,
    timestamptz '2023-11-01' + to_days(cast(drawn(account_id, 'deal', 1090) as integer)) as began,
    10 + drawn(account_id, 'cycle', 80) as days
from crm.accounts;
insert into crm.opportunities by name
select
    'hub' as source, 'd' || n as opportunity_id, account_id, 'o' || n % 40 as owner_id, 'Deal ' || n as name,
    'sales' as pipeline, 'new_business' as opportunity_type, if(n % 1000 = 1, 5000000, 500 + 10 * drawn(n, 'amount', 5000)) as amount,
    some_currency(n) as currency, 'Suite' as product, ['Outbound', 'Web', 'Referral'][1 + n % 3] as lead_source,
    began as created_at, cast(began + to_days(cast(days as integer)) as date) as close_date,
    if(ends_at < timestamptz '2026-11-01', ends_at, null) as closed_at,
    if(closed_at is null, 'open', if(n % 2 = 0, 'won', 'lost')) as outcome,
    if(closed_at is null, 'demo', if(n % 2 = 0, 'won', 'lost')) as stage
from (select *, began + to_days(cast(days as integer)) as ends_at from main.deals);
insert into crm.opportunity_history by name
with changes as (
    select *, unnest([
        {'field': 'stage', 'old_value': null, 'new_value': 'new', 'share': 0.0},
        {'field': 'stage', 'old_value': 'new', 'new_value': 'demo', 'share': 0.3},
        {'field': 'stage', 'old_value': 'demo', 'new_value': 'offer', 'share': 0.6},
        {'field': 'stage', 'old_value': 'offer', 'new_value': if(n % 2 = 0, 'won', 'lost'), 'share': 1.0},
        {'field': 'amount', 'old_value': '400', 'new_value': cast(500 + 10 * drawn(n, 'amount', 5000) as text),
         'share': 0.5},
        {'field': 'close_date', 'old_value': cast(cast(began + interval 20 day as date) as text),
         'new_value': cast(cast(began + to_days(cast(days as integer)) as date) as text), 'share': 0.4}
    ], recursive := true)
    from main.deals
)
select 'hub' as source, 'd' || n as opportunity_id, field, began + to_minutes(cast(days * 1440 * share as integer)) as changed_at,
    old_value, new_value
from changes where changed_at < timestamptz '2026-11-01';
insert into crm.leads by name
select 'hub' as source, 'le' || n as lead_id, email, first_name, last_name, 'converted' as status,
    ['Outbound', 'Web', 'Referral'][1 + n % 3] as lead_source, 'o' || n % 40 as owner_id,
    began - interval 9 day as created_at, began - interval 6 day as mql_at, began - interval 3 day as sql_at,
    began as converted_at, account_id as converted_account_id, contact_id as converted_contact_id,
    'd' || n as converted_opportunity_id
from main.deals inner join crm.contacts using (account_id)
qualify row_number() over (partition by account_id order by contact_id) = 1;
insert into email.campaigns by name
select 'mail' as source, 'c' || range as campaign_id, 'Campaign ' || range as name, 'outbound' as kind,
    timestamptz '2023-10-01' as created_at
from range(30);
insert into email.recipients by name
select 'mail' as source, 'r' || lead_id as recipient_id, 'c' || hash(lead_id) % 30 as campaign_id, email,
    created_at - interval 8 day as added_at
from crm.leads;
insert into email.events by name
select
    'mail' as source, 'e' || recipient_id || kind as event_id, campaign_id, recipient_id, 'm' || recipient_id as message_id,
    email, kind as event_type, added_at + to_hours(cast(later as integer)) as occurred_at, false as is_machine
from email.recipients
cross join (values ('sent', 1), ('open', 5), ('click', 6), ('reply', 30)) as kinds (kind, later)
where later < 5 or hash(recipient_id) % later < 2;
insert into finance.spend by name
select 'sheets' as source, 'x' || range || channel as spend_id, cast(month_start(range) as date) as month,
    channel, 'media' as category, 90000 as amount, 'USD' as currency, true as is_acquisition
from range(36) cross join (values ('Outbound'), ('Web'), ('Referral')) as channels (channel);
insert into finance.quotas by name
select 'sheets' as source, 'q' || range || owner_id as quota_id, owner_id, team,
    cast(month_start(3 * range + 2) as date) as period_start, cast(month_start(3 * range + 5) as date) as period_end,
    9000000 as amount, 'USD' as currency
from range(12) cross join crm.owners;
insert into finance.forecasts by name
select source, replace(quota_id, 'q', 'f') as forecast_id, owner_id, team, 'commit' as category, period_start, period_end,
    cast(period_start - interval 2 day as timestamptz) as submitted_at, 8000000 as amount, currency
from finance.quotas;
drop table main.buyers; drop table main.bills; drop table main.deals
