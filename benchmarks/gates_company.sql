-- What the gates compare, after the two days of benchmarks.kpis: who owns and contacts what, deals of the subscriptions
-- they became, expansions and renewals, invoices that nobody pays; {activities} activities and {events} e-mail events of
-- two years, until the day after. About one record in thirty breaks the rule it should keep.
create macro breaks(id, rule) as hash(id || rule) % 30 = 0;
create macro numbered(id) as cast(regexp_extract(id, '[0-9]+') as integer);
create macro in_two_years(share) as timestamptz '2024-11-03' + to_milliseconds(cast(share * 729 * 86400000 as bigint));
update crm.accounts set
    owner_id = if(breaks(account_id, 'owner'), null, 'o' || numbered(account_id) % 41),
    lifecycle_stage = case
        when numbered(account_id) % 2 = 1 then 'other'
        when exists (
            select 1 from billing.subscriptions
            where customer_id = replace(account_id, 'a', 'c') and (ended_at is null or breaks(customer_id, 'left'))
        ) and not breaks(account_id, 'stage') then 'customer'
        else 'other'
    end;
update crm.contacts set
    owner_id = 'o' || numbered(contact_id) % 40, email_opt_out = hash(contact_id) % 50 = 0,
    updated_at = created_at + interval 60 day;
update crm.leads set first_response_at = if(breaks(lead_id, 'answered'), null, created_at + interval 1 hour),
    sql_at = if(breaks(lead_id, 'answered'), null, sql_at), converted_at = if(breaks(lead_id, 'answered'), null, converted_at);
update billing.customers set currency = 'USD',
    crm_account_id = if(breaks(customer_id, 'account'), null, replace(customer_id, 'c', 'a'));
update billing.prices set product_id = 'suite';
update billing.subscriptions set current_period_start = timestamptz '2026-11-01', current_period_end = timestamptz '2026-12-01'
where ended_at is null;
update billing.subscription_items set interval = 'year', unit_amount = 12 * unit_amount, price_id = 'annual' || price_id
where numbered(subscription_id) % 4 = 0;
update billing.subscription_items set unit_amount = 0.9 * unit_amount where breaks(subscription_item_id, 'price');
insert into billing.discounts by name
select 'pay' as source, 'all' || customer_id as discount_id, customer_id, 10 as percent_off, created_at as starts_at
from billing.customers where hash(customer_id) % 3 = 0;
insert into billing.prices by name
select * replace ('annual' || price_id as price_id, 'year' as interval, 12 * unit_amount as unit_amount) from billing.prices;
insert into billing.refunds by name
select 'pay' as source, 'rf' || payment_id as refund_id, payment_id, invoice_id, amount, currency,
    attempted_at + interval 9 day as refunded_at
from billing.payments where status = 'succeeded' and hash(payment_id) % 200 = 0;
update billing.invoices set status = 'open', amount_paid = 0, amount_due = total, paid_at = null
where hash(invoice_id) % 200 = 1;
update billing.payments set status = 'failed' where invoice_id in (select invoice_id from billing.invoices where status = 'open');
create table main.contracts as
select
    subscription_id, source, min(valid_from) as began_at,
    12 * arg_min(quantity * unit_amount / if(interval = 'year', 12, 1), valid_from) as a_year
from billing.subscription_items group by all;
update crm.opportunities set
    primary_contact_id = if(breaks(opportunity_id, 'contact'), null, 'p' || numbered(opportunity_id)),
    lost_reason = if(outcome = 'lost' and not breaks(opportunity_id, 'reason'), 'price', null),
    lead_source = if(breaks(opportunity_id, 'channel'), null, lead_source);
update crm.opportunities set
    billing_subscription_id = contracts.subscription_id,
    amount = if(breaks(opportunity_id, 'amount'), amount, contracts.a_year),
    closed_at = if(breaks(opportunity_id, 'term'), closed_at, began_at - interval 5 day),
    close_date = if(breaks(opportunity_id, 'term'), close_date, cast(began_at - interval 5 day as date)),
    created_at = least(created_at, began_at - interval 60 day)
from main.contracts as contracts
where outcome = 'won' and contracts.subscription_id = 's' || numbered(opportunity_id);
insert into crm.opportunities by name
select * exclude (kind, began_at) replace (
    kind || opportunity_id as opportunity_id, kind as opportunity_type,
    if(kind = 'expansion', began_at + interval 110 day, timestamptz '2026-10-20') as created_at,
    date '2026-11-25' as close_date, null as closed_at, 'demo' as stage, 'open' as outcome
)
from (
    select opportunities.*, began_at, unnest(['expansion', 'renewal']) as kind
    from crm.opportunities as opportunities
    inner join main.contracts as contracts on billing_subscription_id = contracts.subscription_id
)
where numbered(opportunity_id) % if(kind = 'renewal', 4, 6) = 0 and not breaks(opportunity_id, kind);
insert into crm.opportunity_contacts by name
select source, opportunity_id, primary_contact_id as contact_id, true as is_primary
from crm.opportunities where primary_contact_id is not null;
insert into crm.activities by name
select
    'hub' as source, 'act' || range as activity_id, ['call', 'email', 'meeting', 'task'][1 + range % 4] as activity_type,
    if(range % 3 = 0, 'inbound', 'outbound') as direction, range % 5 = 0 as is_automated,
    'a' || drawn(range, 'account', {accounts}) as account_id,
    if(range % 2 = 0, 'p' || drawn(range, 'account', {accounts}), null) as contact_id,
    if(range % 10 = 1, 'le' || drawn(range, 'account', {accounts}), null) as lead_id,
    if(range % 4 = 1, 'd' || drawn(range, 'account', {accounts}), null) as opportunity_id,
    'o' || range % 40 as owner_id, in_two_years(drawn(range, 'at', 1000003) / 1000003) as occurred_at
from range({activities});
insert into email.campaigns by name
select 'mail' as source, 'm' || range as campaign_id, 'Nurture ' || range as name, 'marketing' as kind,
    timestamptz '2024-10-01' as created_at
from range(60);
-- Eight events each; every thirtieth recipient is nobody the CRM knows.
insert into email.recipients by name
select
    'mail' as source, 'n' || range as recipient_id, 'm' || range % 60 as campaign_id,
    if(breaks('n' || range, 'known'), 'someone' || range || '@elsewhere.example', upper(contacts.email)) as email,
    in_two_years(drawn(range, 'added', 1000003) / 1000003) as added_at, null as unsubscribed_at
from range({events} // 8)
left join crm.contacts as contacts on contact_id = 'p' || drawn(range, 'reader', {accounts});
update email.recipients set unsubscribed_at = added_at + interval 20 day where hash(recipient_id) % 100 = 0;
insert into email.events by name
with drawn_kinds as (
    select
        recipients.*, step,
        case
            when step in (0, 2) then 'sent'
            when step in (1, 3) then 'delivered'
            when step in (4, 5) then 'open'
            when step = 6 then if(hash(recipient_id) % 3 = 0, 'click', 'open')
            when drawn(recipient_id, 'last', 200) < 8 then 'reply'
            when drawn(recipient_id, 'last', 200) < 12 then 'bounce'
            when drawn(recipient_id, 'last', 200) < 13 then 'unsubscribe'
            else 'sent'
        end as event_type
    from email.recipients as recipients cross join range(8) as steps (step)
    where recipient_id like 'n%'
)
select
    'mail' as source, 'n' || recipient_id || '-' || step as event_id, campaign_id, recipient_id,
    'mm' || recipient_id || '-' || step // 2 as message_id, email, event_type,
    added_at + to_minutes(cast(170 * step as integer)) as occurred_at, step = 4 as is_machine,
    case when event_type = 'bounce' then if(hash(recipient_id) % 4 = 0, 'hard', 'soft') end as bounce_type
from drawn_kinds;
drop table main.contracts
