-- Won without an amount, or lost without a reason where the CRM keeps any.
with reasons as (
    select source, opportunity_id, lost_reason
    from crm.opportunities
    where trim(lost_reason) <> ''
)

select
    opportunities.opportunity_id as key_left,
    opportunities.outcome || coalesce(strftime(opportunities.closed_at, ' %Y-%m-%d'), '') as value_left,
    case opportunities.outcome when 'won' then 'no amount' else 'no reason' end as value_right,
    opportunities.account,
    coalesce(opportunities.amount_reporting, 0) as money_at_risk
from gate_opportunities as opportunities
left join reasons
    on opportunities.source = reasons.source and opportunities.opportunity_id = reasons.opportunity_id
where
    (opportunities.outcome = 'won' and coalesce(opportunities.amount_local, 0) = 0)
    or (
        opportunities.outcome = 'lost'
        and reasons.lost_reason is null
        and opportunities.source in (select source from reasons)
    )
