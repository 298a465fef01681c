-- Months in which the MRR bridge does not add up, or does not cover every subscription; and accounts whose invoices say
-- another MRR than their subscriptions, where that is more than two percent of the last month's.
with months as (
    select
        month,
        account,
        opening,
        closing,
        case
            when lag(month) over by_month = month - interval 1 month then lag(closing) over by_month
            else 0
        end as previous,
        coalesce(lead(month) over by_month = month + interval 1 month, false) as is_followed
    from gate_account_months
    window by_month as (partition by account order by month)
)

select
    account || ' ' || strftime(month, '%Y-%m') as key_left,
    'opening plus movements ' || cast(opening + movements as decimal(18, 2)) as value_left,
    cast(null as text) as key_right,
    'closing ' || cast(closing as decimal(18, 2)) as value_right,
    account,
    abs(closing - opening - movements) as money_at_risk,
    cast(null as timestamptz) as grace_until
from gate_account_months
where closing <> opening + movements
union all
select
    account || ' ' || strftime(month, '%Y-%m'),
    'opening ' || cast(opening as decimal(18, 2)),
    null,
    'closing of the month before ' || cast(previous as decimal(18, 2)),
    account,
    abs(opening - previous),
    null
from months
where opening <> previous
union all
select
    account || ' ' || strftime(month + interval 1 month, '%Y-%m'),
    'no row',
    null,
    'closing of the month before ' || cast(closing as decimal(18, 2)),
    account,
    closing,
    null
from months
where closing <> 0 and not is_followed and month < (select max(month) from months)
union all
select
    'all accounts ' || strftime(coalesce(bridge.month, facts.month), '%Y-%m')
    || ' ' || coalesce(bridge.currency, facts.currency),
    'bridge closes at ' || cast(coalesce(bridge.mrr, 0) as decimal(18, 2)),
    null,
    'subscriptions sum to ' || cast(coalesce(facts.mrr, 0) as decimal(18, 2)),
    null,
    abs(coalesce(bridge.mrr, 0) - coalesce(facts.mrr, 0)),
    null
from (
    select month, currency, sum(mrr) as mrr from gate_account_mrr group by all
) as bridge
full join (
    select month, currency, sum(mrr) as mrr from gate_subscription_months group by all
) as facts
    on bridge.month = facts.month and bridge.currency = facts.currency
where coalesce(bridge.mrr, 0) <> coalesce(facts.mrr, 0)
union all
select
    account || ' ' || strftime(month, '%Y-%m') || ' billed',
    'MRR ' || cast(mrr as decimal(18, 2)),
    null,
    'invoices say ' || cast(abs(billing_residual) as decimal(18, 2))
    || case when billing_residual > 0 then ' more' else ' less' end,
    account,
    12 * abs(billing_residual),
    null
from (
    select
        *,
        sum(abs(billing_residual)) over (partition by month) as unexplained,
        sum(mrr) over (partition by month) as total
    from gate_walk
) as walk
where
    billing_residual <> 0
    and 100 * unexplained > 2 * total
    and month = (select max(gate_walk.month) from gate_walk)
