-- Opportunities of no company, and open ones without anybody to talk to where the CRM keeps contacts.
with known as (
    select
        source,
        opportunity_id
    from crm.opportunity_contacts
    where not coalesce(is_deleted, false)
    union
    select
        source,
        opportunity_id
    from gate_opportunities
    where primary_contact_id is not null
)

select
    opportunities.opportunity_id as key_left,
    opportunities.outcome || ', ' || opportunities.worth as value_left,
    case when opportunities.account is null then 'no account' else 'no contact' end as value_right,
    opportunities.account,
    coalesce(opportunities.amount_reporting, 0) as money_at_risk
from gate_opportunities as opportunities
left join known
    on opportunities.source = known.source and opportunities.opportunity_id = known.opportunity_id
where
    (opportunities.outcome <> 'lost' and opportunities.account is null)
    or (
        opportunities.outcome = 'open'
        and known.opportunity_id is null
        and opportunities.source in (select source from known)
    )
