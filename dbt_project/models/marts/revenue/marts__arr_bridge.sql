with

movements as (

    select * from {{ ref('marts__mrr_monthly') }}

),

months as (

    select * from {{ ref('core__kpi_months') }}
    where period = 'month'

),

-- Every month since the first customer, also one without any.
final as (

    select
        months.month,
        cast(coalesce(sum(movements.opening), 0) as decimal(18, 2)) as opening,
        cast(coalesce(sum(movements."new"), 0) as decimal(18, 2)) as "new",
        cast(coalesce(sum(movements.reactivation), 0) as decimal(18, 2)) as reactivation,
        cast(coalesce(sum(movements.expansion), 0) as decimal(18, 2)) as expansion,
        cast(coalesce(sum(movements.contraction), 0) as decimal(18, 2)) as contraction,
        cast(coalesce(sum(movements.churn), 0) as decimal(18, 2)) as churn,
        cast(coalesce(sum(movements.fx), 0) as decimal(18, 2)) as fx,
        cast(coalesce(sum(movements.closing), 0) as decimal(18, 2)) as closing,
        cast(12 * coalesce(sum(movements.closing), 0) as decimal(18, 2)) as arr,
        count(*) filter (where movements.closing > 0) as paying_accounts

    from months
    left join movements
        on months.month = movements.month
    where months.month >= (select min(first_known.month) from movements as first_known)
    group by all

)

select * from final
