-- New business of the last 90 days that no campaign ever touched.
select
    opportunities.opportunity_id as key_left,
    'won ' || strftime(opportunities.closed_at, '%Y-%m-%d') || ', ' || opportunities.worth as value_left,
    'no campaign before' as value_right,
    opportunities.account,
    coalesce(opportunities.amount_reporting, 0) as money_at_risk
from gate_opportunities as opportunities
inner join gate_touched_wins as wins
    on opportunities.source = wins.source and opportunities.opportunity_id = wins.opportunity_id
cross join gate_run as run
where
    opportunities.outcome = 'won'
    and opportunities.is_new_business
    and opportunities.closed_at >= run.as_of - interval 90 day
    and not wins.is_touched
