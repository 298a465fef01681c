-- Won deals in another currency than the subscription they were billed as.
select
    opportunities.opportunity_id as key_left,
    opportunities.worth as value_left,
    subscriptions.subscription_id as key_right,
    'billed in ' || upper(subscriptions.currency) as value_right,
    opportunities.account,
    opportunities.amount_reporting as money_at_risk
from gate_opportunities as opportunities
inner join billing.subscriptions as subscriptions
    on opportunities.billing_subscription_id = subscriptions.subscription_id
where
    opportunities.outcome = 'won'
    and opportunities.currency <> upper(subscriptions.currency)
    and not coalesce(subscriptions.is_deleted, false)
