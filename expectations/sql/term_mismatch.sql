-- New contracts that began, and renewals that are due, more than a month from the day the CRM has for them.
with begun as (
    select
        subscription_id,
        min(from_at) as began_at
    from gate_spans
    where list_mrr > 0
    group by subscription_id
),

dated as (
    select
        opportunities.*,
        subscriptions.subscription_id,
        case when opportunities.outcome = 'won' then 'began ' else 'ends ' end as verb,
        case
            when opportunities.outcome = 'won' then cast(opportunities.closed_at as date)
            else opportunities.close_date
        end as crm_day,
        cast(
            case when opportunities.outcome = 'won' then begun.began_at else subscriptions.current_period_end end
            as date
        ) as billing_day
    from gate_opportunities as opportunities
    inner join billing.subscriptions as subscriptions
        on opportunities.billing_subscription_id = subscriptions.subscription_id
    left join begun
        on subscriptions.subscription_id = begun.subscription_id
    where
        not coalesce(subscriptions.is_deleted, false)
        and (
            (opportunities.outcome = 'won' and opportunities.is_new_business)
            or (opportunities.outcome = 'open' and opportunities.opportunity_type = 'renewal')
        )
)

select
    opportunity_id as key_left,
    'closes ' || strftime(crm_day, '%Y-%m-%d') as value_left,
    subscription_id as key_right,
    verb || strftime(billing_day, '%Y-%m-%d') as value_right,
    account,
    coalesce(amount_reporting, 0) as money_at_risk
from dated
where abs(billing_day - crm_day) > 31
