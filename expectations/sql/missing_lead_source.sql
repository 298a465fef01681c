-- New business that nobody can say where it came from, where the CRM keeps that at all.
select
    opportunity_id as key_left,
    'won ' || strftime(closed_at, '%Y-%m-%d') || ', ' || worth as value_left,
    'no source, no campaign' as value_right,
    account,
    coalesce(amount_reporting, 0) as money_at_risk
from gate_opportunities
where
    outcome = 'won'
    and is_new_business
    and lead_source is null
    and campaign_id is null
    and source in (
        select known.source from gate_opportunities as known
        where known.lead_source is not null or known.campaign_id is not null
    )
