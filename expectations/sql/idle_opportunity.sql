-- Open opportunities without any activity on them or on their company for 30 days.
with activities as (
    select source, opportunity_id, account_id, occurred_at
    from crm.activities
    where not coalesce(is_deleted, false)
),

on_opportunities as (
    select source, opportunity_id, max(occurred_at) as touched_at
    from activities
    group by all
),

on_accounts as (
    select source, account_id, max(occurred_at) as touched_at
    from activities
    group by all
),

dated as (
    select
        opportunities.*,
        greatest(opportunities.created_at, on_opportunities.touched_at, on_accounts.touched_at) as touched_at
    from gate_opportunities as opportunities
    left join on_opportunities
        on
            opportunities.source = on_opportunities.source
            and opportunities.opportunity_id = on_opportunities.opportunity_id
    left join on_accounts
        on opportunities.source = on_accounts.source and opportunities.account_id = on_accounts.account_id
    where opportunities.outcome = 'open' and opportunities.source in (select source from activities)
)

select
    dated.opportunity_id as key_left,
    'open, ' || dated.worth as value_left,
    'no activity since ' || strftime(dated.touched_at, '%Y-%m-%d') as value_right,
    dated.account,
    coalesce(dated.amount_reporting, 0) as money_at_risk
from dated
cross join gate_run as run
where dated.touched_at + interval 30 day < run.as_of
