{%- set stages = funnel_stages() -%}
with

journeys as (

    select
        *,
        least(
            {%- for stage in stages %}
            {{ stage }}_at{{ ',' if not loop.last }}
            {%- endfor %}
        ) as began_at

    from {{ ref('marts__funnel') }}

),

steps as (

    select
        journey_id,
        cohort_month,
        began_at,
        team,
        region,
        lead_source,
        exited_at,
        renewed_at,
        expanded_at,
        coalesce(string_split(imputed_steps, ', '), []) as imputed,
        unnest([
            {%- for stage in stages %}
            {
                'position': {{ loop.index }},
                'step': '{{ stage }}',
                'entered_at': {{ stage }}_at
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ], recursive := true)

    from journeys

),

-- A journey visits every step it reached; a customer goes on by renewing or buying more.
visits as (

    select
        *,
        least(
            min(entered_at) over (
                partition by journey_id order by position rows between 1 following and unbounded following
            ),
            renewed_at,
            expanded_at
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
        team,
        region,
        lead_source,
        advanced_at is not null as is_advanced,
        advanced_at is null and exited_at is not null as is_exited,
        is_advanced or is_exited as has_left,
        -- An imputed visit has no time of its own.
        case
            when not list_contains(imputed, step)
                then {{ local_date('left_at') }} - {{ local_date('entered_at') }}
        end as days,
        {{ local_date('left_at') }} - {{ local_date('began_at') }} as age

    from visits

),

segmented as (

    select
        * exclude (team, region, lead_source),
        unnest([
            {'segment': 'all', 'segment_value': 'all'},
            {'segment': 'team', 'segment_value': coalesce(team, '(none)')},
            {'segment': 'region', 'segment_value': coalesce(region, '(none)')},
            {'segment': 'source', 'segment_value': coalesce(lead_source, '(none)')}
        ], recursive := true)

    from stays

),

counted as (

    select
        cohort_month,
        segment,
        segment_value,
        position,
        step,
        count(*) as entered,
        count(*) filter (where is_advanced) as advanced,
        count(*) filter (where is_exited) as exited

    from segmented
    group by all

),

medians as (

    {{ kaplan_meier_median('segmented', ['cohort_month', 'segment', 'segment_value', 'step']) }}

),

-- By then nine of ten that ever leave a step have left it, counted from the beginning of their journeys.
ages as (

    select
        step,
        cast(quantile_disc(age, 0.9) as integer) as mature_after

    from stays
    where has_left
    group by all

),

matured as (

    select
        counted.*,
        medians.median_days,
        coalesce(
            {{ local_date(as_of()) }}
            >= cast(counted.cohort_month + interval 1 month as date) + ages.mature_after, false
        ) as is_matured

    from counted
    left join ages
        on counted.step = ages.step
    left join medians
        on
            counted.cohort_month = medians.cohort_month
            and counted.segment = medians.segment
            and counted.segment_value = medians.segment_value
            and counted.step = medians.step

),

final as (

    select
        cohort_month,
        segment,
        segment_value,
        step as stage,
        cast(position as integer) as position,
        entered,
        advanced,
        exited,
        entered - advanced - exited as open,
        case
            when is_matured
                then cast({{ ratio('advanced', 'advanced + exited') }} as decimal(38, 12))
        end as conversion,
        median_days,
        is_matured

    from matured

)

select * from final
