-- The next day: a thirtieth of the customers is billed and pays, a thousandth changes seats, deals begin and move.
insert into billing.invoices by name
select * replace (
    'next-' || subscription_id as invoice_id, timestamptz '2026-11-01 12:00:00+00' as issued_at,
    timestamptz '2026-11-15' as due_at, timestamptz '2026-11-01 12:00:00+00' as paid_at
)
from billing.invoices where issued_at = timestamptz '2026-10-01' and hash(invoice_id) % 30 = 0;
insert into billing.invoice_lines by name
select source, 'l' || invoice_id as invoice_line_id, invoice_id, subscription_id, 1 as quantity, total as amount,
    currency, issued_at as period_start, issued_at + interval 1 month as period_end, false as is_proration,
    true as is_recurring
from billing.invoices where starts_with(invoice_id, 'next-');
insert into billing.payments by name
select source, 'p' || invoice_id as payment_id, invoice_id, customer_id, total as amount, currency,
    'succeeded' as status, 1 as attempt, paid_at as attempted_at
from billing.invoices where starts_with(invoice_id, 'next-');
update billing.subscription_items set quantity = quantity + 1
where valid_to is null and hash(subscription_id) % 1000 = 0;
insert into crm.opportunity_history by name
select source, opportunity_id, 'stage' as field, timestamptz '2026-11-01 09:00:00+00' as changed_at,
    'demo' as old_value, 'offer' as new_value
from crm.opportunities where outcome = 'open' and hash(opportunity_id) % 30 = 0;
update crm.opportunities set stage = 'offer' where outcome = 'open' and hash(opportunity_id) % 30 = 0;
insert into crm.opportunities by name
select * replace (
    'next-' || opportunity_id as opportunity_id, timestamptz '2026-11-01 10:00:00+00' as created_at,
    date '2026-12-01' as close_date, null as closed_at, 'open' as outcome, 'new' as stage
)
from crm.opportunities where hash(opportunity_id) % 1000 = 0
