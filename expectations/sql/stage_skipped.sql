-- Open opportunities that jumped over a stage, or went back.
select
    opportunities.opportunity_id as key_left,
    string_agg(moves.move, ', ' order by moves.entered_at, moves.move) as value_left,
    opportunities.account,
    coalesce(opportunities.amount_reporting, 0) as money_at_risk
from gate_opportunities as opportunities
inner join gate_stage_moves as moves
    on opportunities.source = moves.source and opportunities.opportunity_id = moves.opportunity_id
where opportunities.outcome = 'open'
group by opportunities.source, opportunities.opportunity_id, opportunities.account, opportunities.amount_reporting
