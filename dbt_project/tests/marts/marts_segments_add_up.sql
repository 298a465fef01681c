-- No segment loses or doubles anything: over its values, numerators and denominators are the company's.
with

definitions as (

    select * from {{ ref('marts__kpi_definitions') }}

),

-- Medians are not sums, nor is what is made of other KPIs; months without a quota have none to add.
kpi_values as (

    select
        computed.*,
        -- What is no ratio has a denominator of 1.
        case when max(computed.denominator) over (partition by computed.kpi) > 1 then computed.denominator end
            as base

    from {{ ref('marts__kpi_values') }} as computed
    inner join definitions
        on computed.kpi = definitions.kpi
    where definitions.made_of is null

),

by_segment as (

    select
        kpi,
        period,
        period_start,
        segment,
        sum(numerator) as numerator,
        sum(base) as base

    from kpi_values
    group by all

),

final as (

    select
        by_segment.*,
        everything.numerator as numerator_of_all,
        everything.base as base_of_all

    from by_segment
    inner join by_segment as everything
        on
            by_segment.kpi = everything.kpi
            and by_segment.period = everything.period
            and by_segment.period_start = everything.period_start
    where
        everything.segment = 'all'
        and (
            by_segment.numerator <> everything.numerator
            or coalesce(by_segment.base, 0) <> coalesce(everything.base, 0)
        )

)

select * from final
