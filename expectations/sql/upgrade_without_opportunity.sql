-- Subscriptions that grew within the last 90 days, at list price, without an expansion opportunity around that day.
with growth as (
    select
        *,
        lag(list_mrr) over by_time as former_mrr
    from gate_spans
    where list_mrr > 0
    window by_time as (partition by source, subscription_id order by from_at)
)

select
    growth.subscription_id || ' ' || strftime(growth.from_at, '%Y-%m-%d') as key_left,
    growth.former_mrr || ' to ' || growth.list_mrr || ' ' || growth.currency || ' a month' as value_left,
    'no expansion opportunity' as value_right,
    growth.account,
    round(12 * (growth.list_mrr - growth.former_mrr) * rates.rate, 2) as money_at_risk
from growth
cross join gate_run as run
left join gate_rates as rates
    on growth.currency = rates.currency
where
    growth.list_mrr > growth.former_mrr
    and growth.from_at >= run.as_of - interval 90 day
    and not exists (
        select 1 from gate_opportunities as opportunities
        where
            opportunities.account = growth.account
            and opportunities.opportunity_type = 'expansion'
            and opportunities.created_at < growth.from_at + interval 30 day
            and coalesce(opportunities.closed_at > growth.from_at - interval 30 day, true)
    )
