-- A stage converts alike wherever one reads it.
with

bottlenecks as (

    select
        quarter,
        stage,
        sum(advanced) as advanced,
        sum(advanced + exited) as ended

    from {{ ref('marts__bottlenecks') }}
    where step = 'opportunity' and entered > 0
    group by all
    having bool_and(is_matured)

),

kpi_values as (

    select * from {{ ref('marts__kpi_values') }}
    where kpi = 'stage_conversion' and period = 'quarter' and segment = 'stage'

)

select
    bottlenecks.*,
    kpi_values.numerator,
    kpi_values.denominator
from bottlenecks
left join kpi_values
    on bottlenecks.quarter = kpi_values.period_start and bottlenecks.stage = kpi_values.segment_value
where
    kpi_values.numerator is distinct from bottlenecks.advanced
    or kpi_values.denominator is distinct from bottlenecks.ended
