-- No segment loses or doubles revenue.
with

kpi_values as (

    select * from {{ ref('marts__kpi_values') }}
    where kpi = 'won_revenue'

),

by_segment as (

    select
        period,
        period_start,
        segment,
        sum(numerator) as won_revenue

    from kpi_values
    group by all

),

final as (

    select
        by_segment.*,
        everything.won_revenue as total

    from by_segment
    inner join by_segment as everything
        on by_segment.period = everything.period and by_segment.period_start = everything.period_start
    where everything.segment = 'all' and by_segment.won_revenue <> everything.won_revenue

)

select * from final
