-- Closed-won deals whose company never became a billing customer.
select
    opportunities.opportunity_id as key_left,
    'won ' || strftime(opportunities.closed_at, '%Y-%m-%d') || ', '
    || coalesce(cast(opportunities.amount_local as decimal(18, 2)) || ' ' || opportunities.currency, 'no amount')
        as value_left,
    'no billing customer' as value_right,
    opportunities.account,
    opportunities.amount_reporting as money_at_risk,
    opportunities.closed_at + interval 7 day as grace_until
from gate_opportunities as opportunities
cross join gate_run as run
where
    opportunities.outcome = 'won'
    and coalesce(opportunities.opportunity_type, 'new_business') = 'new_business'
    and opportunities.closed_at + interval 7 day < run.as_of
    and opportunities.account is not null
    and not exists (
        select 1 from gate_billing_accounts as customers where customers.account = opportunities.account
    )
