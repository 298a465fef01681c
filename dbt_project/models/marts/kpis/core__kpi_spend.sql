with

months as (

    select * from {{ ref('core__kpi_months') }}

),

spend as (

    select * from {{ ref('core__kpi_spend_records') }}

),

final as (

    select
        months.period,
        months.period_start,
        coalesce(sum(spend.amount), 0) as spend,
        count(spend.spend_id) as spend_lines,
        count(spend.amount) as converted_lines

    from months
    left join spend
        on months.month = spend.month
    group by all

)

select * from final
