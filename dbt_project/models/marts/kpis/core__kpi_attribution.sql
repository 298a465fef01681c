with

months as (

    select * from {{ ref('core__kpi_months') }}

),

attribution as (

    select * from {{ ref('marts__attribution') }}
    where model = 'position_based'

),

segmented as (

    select
        month,
        pipeline,
        revenue,
        unnest([
            {'segment': 'all', 'segment_value': 'all'},
            {'segment': 'channel', 'segment_value': channel},
            {'segment': 'campaign', 'segment_value': campaign_key}
        ], recursive := true)

    from attribution

),

final as (

    select
        months.period,
        months.period_start,
        segmented.segment,
        segmented.segment_value,
        cast(sum(segmented.pipeline) as decimal(38, 2)) as pipeline,
        cast(sum(segmented.revenue) as decimal(38, 2)) as revenue

    from months
    inner join segmented
        on months.month = segmented.month
    group by all

)

select * from final
