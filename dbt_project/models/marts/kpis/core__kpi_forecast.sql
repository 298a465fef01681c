with

calendar as (

    select * from {{ ref('core__calendar') }}
    where period <> 'month'

),

forecasts as (

    select * from {{ ref('finance__forecasts') }}
    where category = 'commit' and not coalesce(is_deleted, false)

),

fx_rates as (

    select * from {{ ref('finance__fx_rates') }}

),

rates as (

    {{ daily_rates('fx_rates') }}

),

sales as (

    select * from {{ ref('core__kpi_sales') }}
    where segment = 'all'

),

quarters as (

    select
        calendar.period_start,
        calendar.period_end,
        sales.won_value as actual

    from calendar
    inner join sales
        on calendar.period = sales.period and calendar.period_start = sales.period_start
    where calendar.period = 'quarter' and calendar.is_complete

),

-- The last word of each rep on the quarter's first day.
frozen as (

    select
        forecasts.*,
        {{ currency_or_reporting('forecasts.currency') }} as currency_code,
        quarters.period_start as quarter,
        {{ local_date('forecasts.submitted_at') }} as submitted_on

    from forecasts
    inner join quarters
        on forecasts.period_start = quarters.period_start and forecasts.period_end = quarters.period_end
    where {{ local_date('forecasts.submitted_at') }} <= quarters.period_start
    qualify row_number() over (
        partition by quarters.period_start, forecasts.source, forecasts.owner_id
        order by forecasts.submitted_at desc, forecasts.forecast_id desc
    ) = 1

),

converted as (

    select
        frozen.quarter,
        {{ cents(
            "frozen.amount * case when frozen.currency_code = '" ~ var('currency') ~ "' then 1 else rates.rate end"
        ) }} as amount

    from frozen
    asof left join rates
        on frozen.currency_code = rates.currency and frozen.submitted_on >= rates.rate_date

),

-- A quarter is judged when there are commits and every one could be converted.
committed as (

    select
        quarter,
        sum(amount) as forecast

    from converted
    group by all
    having count(*) = count(amount)

),

final as (

    select
        periods.period,
        periods.period_start,
        count(*) as quarters,
        count(committed.quarter) as judged,
        sum(greatest(0, quarters.actual - abs(committed.forecast - quarters.actual))) filter (
            where committed.quarter is not null
        ) as hit,
        sum(quarters.actual) filter (where committed.quarter is not null) as actual

    from calendar as periods
    inner join quarters
        on
            periods.period = 'all'
            or (periods.period_start <= quarters.period_start and periods.period_end > quarters.period_start)
    left join committed
        on quarters.period_start = committed.quarter
    group by all
    having count(committed.quarter) > 0

)

select * from final
