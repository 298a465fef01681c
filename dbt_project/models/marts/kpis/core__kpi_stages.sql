with

months as (

    select * from {{ ref('core__kpi_months') }}

),

records as (

    select * from {{ ref('core__kpi_stage_records') }}

),

segmented as (

    select
        months.period,
        months.period_start,
        records.matured,
        records.advanced,
        records.exited,
        records.days,
        records.has_left,
        {{ kpi_segments('stages') | indent(8) }}

    from months
    inner join records
        on months.month = records.month

),

counted as (

    select
        period,
        period_start,
        segment,
        segment_value,
        count(*) as entered,
        cast(sum(matured) as bigint) as matured,
        cast(sum(advanced) as bigint) as advanced,
        cast(sum(exited) as bigint) as exited,
        count(days) as timed

    from segmented
    group by all

),

medians as (

    {{ kaplan_meier_median('segmented', ['period', 'period_start', 'segment', 'segment_value']) }}

),

final as (

    select
        counted.*,
        medians.median_days

    from counted
    left join medians
        on
            counted.period = medians.period
            and counted.period_start = medians.period_start
            and counted.segment = medians.segment
            and counted.segment_value = medians.segment_value

)

select * from final
