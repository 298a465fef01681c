with

months as (

    select * from {{ ref('core__kpi_months') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

account_mrr as (

    select * from {{ ref('core__account_mrr') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

by_period as (

    select
        months.period,
        months.period_start,
        max(months.month) as closing_month,
        sum(movements.closing) filter (where months.is_closing) as mrr,
        count(*) filter (where months.is_closing and movements.closing > 0) as paying,
        sum(movements.opening) filter (where months.is_opening) as opening,
        count(*) filter (where months.is_opening and movements.opening > 0) as opened,
        sum(movements."new") as new_mrr,
        count(*) filter (where movements."new" > 0) as new_accounts,
        sum(movements.expansion) as expansion,
        count(distinct movements.account) filter (where movements.expansion > 0) as upsold,
        -sum(movements.churn + movements.contraction) as lost,
        count(*) filter (where movements.churn < 0) as churned,
        -sum(movements.churn) filter (where movements.is_involuntary) as involuntary

    from months
    left join movements
        on months.month = movements.month
    group by all

),

half_years as (

    select
        period_start as month,
        sum(churned) over half_year as churned_6m,
        sum(opened) over half_year as opened_6m

    from by_period
    where period = 'month'
    window half_year as (order by period_start rows between 5 preceding and current row)

),

-- Then at the rates of now: what currencies did is no retention.
year_ago as (

    select
        months.month,
        account_mrr.account,
        sum(cast(account_mrr.mrr * rates.rate as decimal(38, 2))) as mrr

    from months
    inner join account_mrr
        on months.month = account_mrr.month + interval 12 month
    inner join closing_rates as rates
        on months.month = rates.month and account_mrr.currency = rates.currency
    where months.period = 'month'
    group by all

),

retained as (

    select
        year_ago.month,
        sum(year_ago.mrr) as mrr_year_ago,
        sum(movements.closing) as retained_net,
        sum(least(movements.closing, year_ago.mrr)) filter (where movements.closing > 0) as retained_gross

    from year_ago
    left join movements
        on year_ago.month = movements.month and year_ago.account = movements.account
    where year_ago.mrr > 0
    group by all

),

final as (

    select
        by_period.period,
        by_period.period_start,
        cast(coalesce(by_period.mrr, 0) as decimal(38, 2)) as mrr,
        by_period.paying,
        cast(coalesce(by_period.opening, 0) as decimal(38, 2)) as opening,
        by_period.opened,
        cast(coalesce(by_period.new_mrr, 0) as decimal(38, 2)) as new_mrr,
        by_period.new_accounts,
        cast(coalesce(by_period.expansion, 0) as decimal(38, 2)) as expansion,
        by_period.upsold,
        cast(coalesce(by_period.lost, 0) as decimal(38, 2)) as lost,
        by_period.churned,
        cast(coalesce(by_period.involuntary, 0) as decimal(38, 2)) as involuntary,
        cast(half_years.churned_6m as bigint) as churned_6m,
        cast(half_years.opened_6m as bigint) as opened_6m,
        cast(coalesce(retained.mrr_year_ago, 0) as decimal(38, 2)) as mrr_year_ago,
        cast(coalesce(retained.retained_net, 0) as decimal(38, 2)) as retained_net,
        cast(coalesce(retained.retained_gross, 0) as decimal(38, 2)) as retained_gross

    from by_period
    inner join half_years
        on by_period.closing_month = half_years.month
    left join retained
        on by_period.closing_month = retained.month

)

select * from final
