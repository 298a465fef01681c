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

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

by_period as (

    select
        months.period,
        months.period_start,
        {%- for name, measure in revenue_measures().items() %}
        {{ revenue_sum(measure) }} as {{ name }},
        {%- endfor %}
        max(months.month) as closing_month

    from months
    left join movements
        on months.month = movements.month
    group by all

),

half_years as (

    select
        period_start as month,
        sum(churned) over half_year as churned_6m,
        sum(opened) over half_year as opened_6m,
        sum(new_accounts) over half_year as new_6m

    from by_period
    where period = 'month'
    window half_year as (order by period_start rows between 5 preceding and current row)

),

brief_stays as (

    {{ brief_stays() | indent(4) }}

),

brief_by_period as (

    select
        months.period,
        months.period_start,
        count(*) as brief_stays

    from months
    inner join brief_stays
        on months.month = brief_stays.month
    group by all

),

retained_accounts as (

    {{ retained_mrr() | indent(4) }}

),

retained as (

    select
        month,
        sum(mrr_year_ago) as mrr_year_ago,
        sum(retained_net) as retained_net,
        sum(retained_gross) as retained_gross

    from retained_accounts
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
        cast(coalesce(by_period.reactivation, 0) as decimal(38, 2)) as reactivation,
        cast(coalesce(by_period.expansion, 0) as decimal(38, 2)) as expansion,
        by_period.upsold,
        cast(coalesce(by_period.lost, 0) as decimal(38, 2)) as lost,
        by_period.churned,
        cast(coalesce(by_period.involuntary, 0) as decimal(38, 2)) as involuntary,
        cast(half_years.churned_6m as bigint) as churned_6m,
        cast(half_years.opened_6m as bigint) as opened_6m,
        cast(half_years.new_6m as bigint) as new_6m,
        coalesce(brief_by_period.brief_stays, 0) as brief_stays,
        cast(coalesce(retained.mrr_year_ago, 0) as decimal(38, 2)) as mrr_year_ago,
        cast(coalesce(retained.retained_net, 0) as decimal(38, 2)) as retained_net,
        cast(coalesce(retained.retained_gross, 0) as decimal(38, 2)) as retained_gross

    from by_period
    inner join half_years
        on by_period.closing_month = half_years.month
    left join brief_by_period
        on
            by_period.period = brief_by_period.period
            and by_period.period_start = brief_by_period.period_start
    left join retained
        on by_period.closing_month = retained.month

)

select * from final
