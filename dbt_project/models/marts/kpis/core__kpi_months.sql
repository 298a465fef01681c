with

calendar as (

    select * from {{ ref('core__calendar') }}

),

months as (

    select * from calendar
    where period = 'month'

),

final as (

    select
        periods.period,
        periods.period_start,
        periods.t_end,
        months.period_start as month,
        max(months.period_start) over (partition by periods.period, periods.period_start) as closing_month,
        months.period_start = periods.period_start as is_opening,
        months.period_start = max(months.period_start) over (
            partition by periods.period, periods.period_start
        ) as is_closing

    from calendar as periods
    inner join months
        on periods.period_start <= months.period_start and periods.period_end > months.period_start

)

select * from final
