with

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

months as (

    select * from {{ ref('core__kpi_months') }}

),

closed as (

    select
        * exclude (cycle_days),
        {%- for name, measure in sale_measures().items() %}
        {{ measure }} as {{ name }},
        {%- endfor %}
        cast(date_trunc('month', closed_on) as date) as month

    from opportunities
    where outcome in ('won', 'lost') and closed_at < {{ as_of() }}

),

segmented as (

    select
        month,
        {{ sale_measures() | join(', ') }},
        {{ kpi_segments('sales') | indent(8) }}

    from closed

),

by_segment as (

    select
        months.period,
        months.period_start,
        segmented.segment,
        segmented.segment_value,
        {%- for name in sale_measures() %}
        sum(segmented.{{ name }}) as {{ name }},
        {%- endfor %}
        quantile_cont(segmented.cycle_days, 0.5) as cycle_median,
        quantile_cont(segmented.cycle_days, 0.9) as cycle_p90

    from segmented
    inner join months
        on segmented.month = months.month
    group by all

),

-- Open just before a period's end.
pipeline as (

    select
        periods.period,
        periods.period_start,
        count(opportunities.opportunity_id) as open_count

    from months as periods
    left join opportunities
        on
            periods.t_end > coalesce(opportunities.created_at, '-infinity')
            and periods.t_end
            <= case when opportunities.outcome = 'open' then 'infinity' else opportunities.closed_at end
    where periods.is_closing
    group by all

),

-- A period in which nothing closed has its row, too.
segments as (

    select
        period,
        period_start,
        'all' as segment,
        'all' as segment_value,
        open_count

    from pipeline
    union all
    select
        period,
        period_start,
        segment,
        segment_value,
        null as open_count

    from by_segment
    where segment <> 'all'

),

final as (

    select
        segments.period,
        segments.period_start,
        segments.segment,
        segments.segment_value,
        segments.open_count,
        cast(coalesce(by_segment.won, 0) as bigint) as won,
        cast(coalesce(by_segment.lost, 0) as bigint) as lost,
        cast(coalesce(by_segment.won_value, 0) as decimal(38, 2)) as won_value,
        cast(coalesce(by_segment.lost_value, 0) as decimal(38, 2)) as lost_value,
        cast(coalesce(by_segment.won_amounts, 0) as bigint) as won_amounts,
        cast(coalesce(by_segment.lost_amounts, 0) as bigint) as lost_amounts,
        cast(coalesce(by_segment.cycles, 0) as bigint) as cycles,
        cast(coalesce(by_segment.cycle_days, 0) as bigint) as cycle_days,
        cast(by_segment.cycle_median as decimal(18, 6)) as cycle_median,
        cast(by_segment.cycle_p90 as decimal(18, 6)) as cycle_p90

    from segments
    left join by_segment
        on
            segments.period = by_segment.period
            and segments.period_start = by_segment.period_start
            and segments.segment = by_segment.segment
            and segments.segment_value = by_segment.segment_value

)

select * from final
