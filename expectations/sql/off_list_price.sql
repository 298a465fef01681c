-- Items sold below the list price of what they are, without a discount that anybody gave.
with charges (interval, times) as (
    values ('day', 365), ('week', 52), ('month', 12), ('year', 1)
),

-- What is not of one subscription is of all its customer's.
given as (
    select discounts.source, discounts.subscription_id, discounts.customer_id
    from billing.discounts as discounts
    cross join gate_run as run
    where not coalesce(discounts.is_deleted, false) and coalesce(discounts.ends_at >= run.as_of, true)
)

select
    items.subscription_item_id as key_left,
    'sold at ' || cast(items.unit_amount as decimal(18, 2)) || ' ' || upper(items.currency) as value_left,
    prices.price_id as key_right,
    'listed at ' || cast(prices.unit_amount as decimal(18, 2)) as value_right,
    customers.account,
    round(
        (prices.unit_amount - items.unit_amount) * coalesce(items.quantity, 1) * charges.times
        / coalesce(items.interval_count, 1) * rates.rate, 2
    ) as money_at_risk
from billing.subscription_items as items
inner join billing.prices as prices
    on items.source = prices.source and items.price_id = prices.price_id
inner join billing.subscriptions as subscriptions
    on items.source = subscriptions.source and items.subscription_id = subscriptions.subscription_id
inner join charges
    on items.interval = charges.interval
cross join gate_run as run
left join gate_billing_accounts as customers
    on subscriptions.source = customers.source and subscriptions.customer_id = customers.customer_id
left join gate_rates as rates
    on upper(items.currency) = rates.currency
where
    items.unit_amount < prices.unit_amount
    and upper(items.currency) = upper(prices.currency)
    and items.interval = prices.interval
    and coalesce(items.interval_count, 1) = coalesce(prices.interval_count, 1)
    and coalesce(items.valid_to >= run.as_of, true)
    and coalesce(subscriptions.ended_at >= run.as_of, true)
    and not coalesce(items.is_deleted, false)
    and not coalesce(subscriptions.is_deleted, false)
    and not exists (
        select 1 from given
        where given.source = items.source and given.subscription_id = items.subscription_id
    )
    and not exists (
        select 1 from given
        where
            given.source = items.source
            and given.subscription_id is null
            and given.customer_id = subscriptions.customer_id
    )
