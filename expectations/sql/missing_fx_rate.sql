-- Currencies in use on days whose last rate is older than two of the usual intervals between rates, and than a week.
-- Without any rate at all, the models are not built (dbt's assert_no_amount_without_rate).
with used as (
    select
        opportunities.currency,
        cast(least(coalesce(opportunities.closed_at, run.as_of), run.as_of - interval 1 microsecond) as date) as day,
        opportunities.amount_local as amount
    from gate_opportunities as opportunities
    cross join gate_run as run
    where opportunities.outcome <> 'lost' and opportunities.amount_local <> 0
    union all
    select
        subscriptions.currency,
        cast(
            least(subscriptions.month + interval 1 month, run.as_of) - interval 1 microsecond as date
        ) as day,
        12 * subscriptions.mrr
    from gate_subscription_months as subscriptions
    cross join gate_run as run
),

quoted as (
    select
        upper(currency) as currency,
        rate_date,
        any_value(rate) as rate
    from finance.fx_rates
    where rate is not null and not coalesce(is_deleted, false)
    group by all
),

rhythms as (
    select
        currency,
        median(days) as usual_days
    from (
        select
            currency,
            rate_date - lag(rate_date) over (partition by currency order by rate_date) as days
        from quoted
    ) as intervals
    group by currency
)

select
    used.currency || ' after ' || strftime(quoted.rate_date, '%Y-%m-%d') as key_left,
    'in use ' || strftime(min(used.day), '%Y-%m-%d')
    || case when max(used.day) > min(used.day) then ' to ' || strftime(max(used.day), '%Y-%m-%d') else '' end
        as value_left,
    'no rate since' as value_right,
    round(arg_max(used.total, used.day) * quoted.rate, 2) as money_at_risk
from (select currency, day, sum(amount) as total from used group by all) as used
asof inner join quoted
    on used.currency = quoted.currency and used.day >= quoted.rate_date
left join rhythms
    on used.currency = rhythms.currency
cross join gate_run as run
where
    used.currency <> run.currency
    and used.day - quoted.rate_date > greatest(7, 2 * coalesce(rhythms.usual_days, 0))
group by used.currency, quoted.rate_date, quoted.rate
