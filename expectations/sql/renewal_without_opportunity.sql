-- Contracts of half a year or more that end within 60 days and that nobody works on renewing: 90 days before their end
-- was the time to open an opportunity, and 30 days of grace have passed.
with terms as (
    select
        source,
        subscription_id,
        max(interval_count * case interval when 'year' then 12 when 'month' then 1 end) as months
    from billing.subscription_items
    where valid_to is null and not coalesce(is_deleted, false)
    group by all
)

select
    subscriptions.subscription_id as key_left,
    'due ' || strftime(subscriptions.current_period_end, '%Y-%m-%d') as value_left,
    'no renewal opportunity' as value_right,
    customers.account,
    12 * mrr.mrr_reporting as money_at_risk,
    subscriptions.current_period_end - interval 60 day as grace_until
from billing.subscriptions as subscriptions
inner join terms
    on subscriptions.source = terms.source and subscriptions.subscription_id = terms.subscription_id
inner join gate_mrr_now as mrr
    on subscriptions.source = mrr.source and subscriptions.subscription_id = mrr.subscription_id
inner join gate_billing_accounts as customers
    on subscriptions.source = customers.source and subscriptions.customer_id = customers.customer_id
cross join gate_run as run
where
    terms.months >= 6
    and mrr.mrr_reporting > 0
    and subscriptions.cancel_at is null
    and subscriptions.canceled_at is null
    and subscriptions.ended_at is null
    and coalesce(subscriptions.status, 'active') <> 'trialing'
    and not coalesce(subscriptions.is_deleted, false)
    and subscriptions.current_period_end >= run.as_of
    and subscriptions.current_period_end - interval 60 day < run.as_of
    and not exists (
        select 1 from gate_opportunities as opportunities
        where
            opportunities.opportunity_type = 'renewal'
            and opportunities.account = customers.account
            and opportunities.created_at + interval 150 day > subscriptions.current_period_end
    )
