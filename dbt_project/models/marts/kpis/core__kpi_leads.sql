with

months as (

    select * from {{ ref('core__kpi_months') }}

),

records as (

    select * from {{ ref('core__kpi_lead_records') }}

),

segmented as (

    select
        month,
        answered,
        minutes,
        missed,
        judged,
        {{ kpi_segments('leads') | indent(8) }}

    from records

),

final as (

    select
        months.period,
        months.period_start,
        segmented.segment,
        segmented.segment_value,
        count(*) as leads,
        cast(sum(segmented.answered) as bigint) as answered,
        cast(sum(segmented.missed) as bigint) as missed,
        cast(sum(segmented.judged) as bigint) as judged,
        cast(quantile_cont(segmented.minutes, 0.5) as decimal(18, 6)) as minutes_median

    from months
    inner join segmented
        on months.month = segmented.month
    group by all

)

select * from final
