with

visits as (

    select * from {{ ref('core__funnel_visits') }}

),

pipeline as (

    select * from {{ ref('marts__pipeline_daily') }}

),

quarters as (

    select
        period_start as quarter,
        starts_at,
        t_end,
        period_end,
        {{ local_date("t_end - interval 1 microsecond") }} as last_day

    from {{ ref('core__calendar') }}
    where period = 'quarter'

),

stage_medians as (

    {{ kaplan_meier_median('visits', ['step', 'stage']) }}

),

-- How long a visit takes, whoever's it is; nine of ten that are over took no longer than matures_after.
usual as (

    select
        visits.step,
        visits.stage,
        coalesce(
            any_value(stage_medians.median_days),
            quantile_disc(visits.days, 0.5) filter (where visits.has_left)
        ) as usual_days,
        {{ matures_after() }} as matures_after

    from visits
    left join stage_medians
        on visits.step = stage_medians.step and visits.stage = stage_medians.stage
    group by visits.step, visits.stage

),

entered as (

    select
        quarters.quarter,
        visits.step,
        visits.stage,
        visits.team,
        visits.exit,
        visits.has_left,
        visits.days

    from visits
    inner join quarters
        on visits.entered_at >= quarters.starts_at and visits.entered_at < quarters.t_end

),

counted as (

    select
        quarter,
        step,
        stage,
        team,
        count(*) as entered,
        count(*) filter (where exit = 'advanced') as advanced,
        count(*) filter (where exit in ('lost', 'back')) as exited

    from entered
    group by all

),

medians as (

    {{ kaplan_meier_median('entered', ['quarter', 'step', 'stage', 'team']) }}

),

-- Who was there when the quarter ended, with the amount of that day.
waiting as (

    select
        quarters.quarter,
        visits.step,
        visits.stage,
        visits.team,
        coalesce(
            case
                when visits.step = 'opportunity' and pipeline.day is not null then pipeline.amount
                else visits.amount
            end, 0
        ) as amount,
        quarters.last_day - {{ local_date('visits.entered_at') }} > usual.usual_days as is_stuck

    from visits
    inner join quarters
        on visits.entered_at < quarters.t_end and coalesce(visits.left_at, 'infinity') >= quarters.t_end
    inner join usual
        on visits.step = usual.step and visits.stage = usual.stage
    left join pipeline
        on
            visits.source = pipeline.source
            and visits.opportunity_id = pipeline.opportunity_id
            and quarters.last_day = pipeline.day

),

stuck as (

    select
        quarter,
        step,
        stage,
        team,
        count(*) as waiting,
        sum(amount) as waiting_amount,
        count(*) filter (where is_stuck) as stuck,
        coalesce(sum(amount) filter (where is_stuck), 0) as revenue_stuck

    from waiting
    group by all

),

placed as (

    select
        step,
        stage,
        any_value(position) as position

    from visits
    group by all

),

joined as (

    select
        coalesce(counted.entered, 0) as entered,
        coalesce(counted.advanced, 0) as advanced,
        coalesce(counted.exited, 0) as exited,
        coalesce(stuck.waiting, 0) as waiting,
        coalesce(stuck.waiting_amount, 0) as waiting_amount,
        coalesce(stuck.stuck, 0) as stuck,
        coalesce(stuck.revenue_stuck, 0) as revenue_stuck,
        coalesce(counted.quarter, stuck.quarter) as quarter,
        coalesce(counted.step, stuck.step) as step,
        coalesce(counted.stage, stuck.stage) as stage,
        coalesce(counted.team, stuck.team) as team

    from counted
    full join stuck
        on
            counted.quarter = stuck.quarter
            and counted.step = stuck.step
            and counted.stage = stuck.stage
            and counted.team = stuck.team

),

matured as (

    select
        joined.*,
        placed.position,
        medians.median_days,
        usual.usual_days,
        coalesce(quarters.period_end + usual.matures_after <= {{ local_date(as_of()) }}, false) as is_matured

    from joined
    inner join quarters
        on joined.quarter = quarters.quarter
    inner join usual
        on joined.step = usual.step and joined.stage = usual.stage
    inner join placed
        on joined.step = placed.step and joined.stage = placed.stage
    left join medians
        on
            joined.quarter = medians.quarter
            and joined.step = medians.step
            and joined.stage = medians.stage
            and joined.team = medians.team

),

final as (

    select
        quarter,
        step,
        stage,
        team,
        cast(row_number() over (
            partition by quarter
            order by revenue_stuck desc, stuck desc, waiting desc, position desc, stage asc, team asc
        ) as integer) as rank,
        cast(revenue_stuck as decimal(18, 2)) as revenue_stuck,
        stuck,
        cast(waiting_amount as decimal(18, 2)) as waiting_amount,
        waiting,
        cast(usual_days as bigint) as usual_days,
        entered,
        advanced,
        exited,
        entered - advanced - exited as open,
        median_days,
        case
            when is_matured
                then cast({{ ratio('advanced', 'advanced + exited') }} as decimal(38, 12))
        end as conversion,
        is_matured

    from matured

)

select * from final
