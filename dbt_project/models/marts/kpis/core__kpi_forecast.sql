with

calendar as (

    select * from {{ ref('core__calendar') }}
    where period <> 'month'

),

-- A quarter is judged when it is over and there was a forecast.
quarters as (

    select * from {{ ref('marts__forecasts') }}
    where method = 'submitted' and status = 'complete'

),

final as (

    select
        periods.period,
        periods.period_start,
        count(*) as quarters,
        count(quarters.forecast) as judged,
        sum(greatest(0, quarters.actual - abs(quarters.forecast - quarters.actual))) filter (
            where quarters.forecast is not null
        ) as hit,
        sum(quarters.actual) filter (where quarters.forecast is not null) as actual,
        sum(quarters.forecast - quarters.actual) as error,
        sum(abs(quarters.forecast - quarters.actual)) as absolute_error,
        coalesce(
            sum({{ ratio('abs(quarters.forecast - quarters.actual)', 'quarters.actual') | indent(12) }}), 0
        ) as relative_error,
        count(quarters.forecast) filter (where quarters.actual <> 0) as quarters_with_actual

    from calendar as periods
    inner join quarters
        on
            periods.period = 'all'
            or (periods.period_start <= quarters.quarter and periods.period_end > quarters.quarter)
    group by all
    having count(quarters.forecast) > 0

)

select * from final
