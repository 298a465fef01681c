{%- set steps = funnel_steps() -%}
with

journeys as (

    select * from {{ ref('marts__funnel') }}

),

steps as (

    select
        journey_id,
        cohort_month,
        furthest_step,
        exited_at,
        coalesce(string_split(imputed_steps, ', '), []) as imputed,
        unnest([
            {%- for step in steps %}
            {
                'position': {{ loop.index }},
                'step': '{{ step }}',
                'entered_at': {{ step }}_at
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ], recursive := true)

    from journeys

),

-- A journey visits every step it reached; the furthest one is still open, or was left without advancing.
visits as (

    select
        *,
        min(entered_at) over (
            partition by journey_id order by position rows between 1 following and unbounded following
        ) as advanced_at,
        coalesce(advanced_at, exited_at, {{ as_of() }}) as left_at

    from steps
    where entered_at is not null

),

stays as (

    select
        cohort_month,
        position,
        step,
        advanced_at is not null as is_advanced,
        advanced_at is null and furthest_step = step and exited_at is not null as is_exited,
        -- An imputed visit has no time of its own.
        case
            when not list_contains(imputed, step)
                then {{ local_date('left_at') }} - {{ local_date('entered_at') }}
        end as days

    from visits

),

counted as (

    select
        cohort_month,
        position,
        step,
        count(*) as entered,
        count(*) filter (where is_advanced) as advanced,
        count(*) filter (where is_exited) as exited

    from stays
    group by all

),

-- Kaplan-Meier: of those still there on a day, how many left on it; open visits only lasted at least so long.
days_left as (

    select
        cohort_month,
        step,
        days,
        count(*) as stays,
        count(*) filter (where is_advanced or is_exited) as leaving

    from stays
    where days >= 0
    group by all

),

at_risk as (

    select
        *,
        sum(stays) over (
            partition by cohort_month, step order by days rows between current row and unbounded following
        ) as staying

    from days_left

),

survival as (

    select
        cohort_month,
        step,
        days,
        product(1 - leaving / staying) over (partition by cohort_month, step order by days) as share_left

    from at_risk

),

-- Shares are floats: half is half up to their last digits.
medians as (

    select
        cohort_month,
        step,
        min(days) as median_days

    from survival
    where share_left <= 0.5 + 1e-9
    group by all

),

final as (

    select
        counted.cohort_month,
        counted.step as stage,
        cast(counted.position as integer) as position,
        counted.entered,
        counted.advanced,
        counted.exited,
        counted.entered - counted.advanced - counted.exited as open,
        cast(
            {{ ratio('counted.advanced', 'counted.advanced + counted.exited') }} as decimal(38, 12)
        ) as conversion,
        medians.median_days

    from counted
    left join medians
        on counted.cohort_month = medians.cohort_month and counted.step = medians.step

)

select * from final
