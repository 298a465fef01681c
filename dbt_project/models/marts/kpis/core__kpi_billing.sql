with

months as (

    select * from {{ ref('core__kpi_months') }}

),

calendar as (

    select * from {{ ref('core__calendar') }}

),

records as (

    select * from {{ ref('core__kpi_billing_records') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

spend as (

    select * from {{ ref('core__kpi_spend') }}

),

periods as (

    select distinct period, period_start
    from months

),

sums as (

    select
        {%- for measure in billing_measures() %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        period,
        period_start

    from records
    group by period, period_start

),

-- A quarter's recurring revenue is the MRR of its months.
quarters as (

    select
        months.period_start,
        sum(movements.closing) as revenue

    from months
    inner join movements
        on months.month = movements.month
    where months.period = 'quarter'
    group by all

),

-- What a quarter grew by came of what was spent in the one before.
growth as (

    select
        spend.period,
        calendar.period_start,
        quarters.revenue - coalesce(previous.revenue, 0) as revenue_change,
        spend.spend as spend_before,
        spend.spend_lines as spend_lines_before,
        spend.converted_lines as converted_lines_before

    from calendar
    inner join quarters
        on calendar.period_start = quarters.period_start
    inner join spend
        on
            spend.period = 'quarter'
            and calendar.period_start = spend.period_start + interval 3 month
    left join quarters as previous
        on calendar.period_start = previous.period_start + interval 3 month
    where calendar.period = 'quarter' and calendar.is_complete

),

final as (

    select
        periods.period,
        periods.period_start,
        {%- for measure in billing_measures() %}
        cast(coalesce(sums.{{ measure }}, 0) as decimal(38, 2)) as {{ measure }},
        {%- endfor %}
        cast(growth.revenue_change as decimal(38, 2)) as revenue_change,
        growth.spend_before,
        growth.spend_lines_before,
        growth.converted_lines_before

    from periods
    left join sums
        on periods.period = sums.period and periods.period_start = sums.period_start
    left join growth
        on periods.period = growth.period and periods.period_start = growth.period_start

)

select * from final
