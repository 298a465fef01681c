-- Won deals of companies that billing knows as customers and that bought nothing from then on.
select
    opportunities.opportunity_id as key_left,
    'won ' || strftime(opportunities.closed_at, '%Y-%m-%d') || ', ' || opportunities.worth as value_left,
    min(customers.customer_id) as key_right,
    'no subscription since' as value_right,
    opportunities.account,
    opportunities.amount_reporting as money_at_risk,
    opportunities.closed_at + interval 30 day as grace_until
from gate_opportunities as opportunities
inner join gate_billing_accounts as customers
    on opportunities.account = customers.account
cross join gate_run as run
where
    opportunities.outcome = 'won'
    and opportunities.is_new_business
    and opportunities.closed_at + interval 30 day < run.as_of
    and not exists (
        select 1 from gate_spans as spans
        where
            spans.account = opportunities.account
            and spans.list_mrr > 0
            and coalesce(spans.until_at > opportunities.closed_at, true)
    )
group by all
