with

months as (

    select * from {{ ref('core__kpi_months') }}

),

reps as (

    select * from {{ ref('marts__rep_performance') }}

),

segmented as (

    select
        month,
        won_revenue,
        quota,
        {{ kpi_segments('quota') | indent(8) }}

    from reps
    where quota is not null or won > 0

),

-- Who has no quota has nothing to attain: coverage tells how many won without one.
final as (

    select
        months.period,
        months.period_start,
        segmented.segment,
        segmented.segment_value,
        coalesce(sum(segmented.won_revenue) filter (where segmented.quota is not null), 0) as won_value,
        coalesce(sum(segmented.quota), 0) as quota,
        count(segmented.quota) as rep_months_with_quota,
        count(*) as rep_months

    from months
    inner join segmented
        on months.month = segmented.month
    group by all

)

select * from final
