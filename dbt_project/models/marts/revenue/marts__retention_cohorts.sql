with

movements as (

    select * from {{ ref('marts__mrr_monthly') }}

),

months as (

    select * from {{ ref('core__kpi_months') }}
    where period = 'month'

),

members as (

    select
        account,
        min(month) as cohort_month,
        arg_min(closing, month) as first_mrr

    from movements
    where closing > 0
    group by all

),

final as (

    select
        members.cohort_month,
        datediff('month', members.cohort_month, months.month) as age,
        months.month,
        count(*) as accounts,
        count(*) filter (where movements.closing > 0) as retained_accounts,
        cast(sum(members.first_mrr) as decimal(18, 2)) as cohort_mrr,
        cast(coalesce(sum(movements.closing), 0) as decimal(18, 2)) as mrr,
        cast({{ ratio('count(*) filter (where movements.closing > 0)', 'count(*)') }} as decimal(38, 12))
            as logo_retention,
        cast({{ ratio('coalesce(sum(movements.closing), 0)', 'sum(members.first_mrr)') }} as decimal(38, 12))
            as revenue_retention

    from members
    inner join months
        on members.cohort_month <= months.month
    left join movements
        on members.account = movements.account and months.month = movements.month
    group by members.cohort_month, months.month

)

select * from final
