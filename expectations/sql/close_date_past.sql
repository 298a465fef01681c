-- Open opportunities that should have closed by now.
select
    opportunities.opportunity_id as key_left,
    'open' as value_left,
    'to close ' || strftime(opportunities.close_date, '%Y-%m-%d') as value_right,
    opportunities.account,
    coalesce(opportunities.amount_reporting, 0) as money_at_risk
from gate_opportunities as opportunities
cross join gate_run as run
where opportunities.outcome = 'open' and opportunities.close_date < cast(run.as_of as date)
