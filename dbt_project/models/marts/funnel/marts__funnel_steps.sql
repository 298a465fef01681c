{{ config(materialized = 'kept', kept_by = ['journey_id']) }}
with

events as (

    select * from {{ ref('core__funnel_events') }} {{ unless_kept() }}

),

-- Some CRMs offer every pipeline the stages of all: those that are visited count.
visited as (

    select distinct source, pipeline, stage, label, position
    from {{ ref('core__stage_visits') }}

),

stages as (

    select
        *,
        row_number() over (partition by source, pipeline order by position, stage) as place

    from visited

),

positions as (

    select
        unnest({{ lower_list(funnel_steps() | map(attribute='step')) }}) as step,
        unnest(range(1, {{ funnel_steps() | length + 1 }})) as position

),

stage_positions as (

    select
        label as stage,
        min(place) as stage_position

    from stages
    group by all

),

common as (

    select sum(hash(stage, stage_position)) as stages from stage_positions

),

fingerprints as (  -- noqa: ST03

    select
        events.journey_id,
        hash(
            sum(hash(
                {%- for column in [
                    'step', 'stage', 'account', 'person', 'occurred_at', 'silo', 'source', 'record_id',
                ] %}
                events.{{ column }},
                {%- endfor %}
                events.is_imputed
            )),
            common.stages
        ) as fingerprint

    from events
    cross join common
    group by events.journey_id, common.stages

),

-- What a silo witnessed comes before what was imputed.
first_times as (

    select
        journey_id,
        case when step = 'stage' then 'opportunity' else step end as step,
        coalesce(stage, '(none)') as stage,
        any_value(account) as account,
        arg_min(
            struct_pack(
                person := person, occurred_at := occurred_at, silo := silo, source := source,
                record_id := record_id, is_imputed := is_imputed
            ),
            (is_imputed, occurred_at, source, record_id)
        ) as event

    from events
    group by all

),

placed as (

    select
        first_times.journey_id,
        first_times.account,
        first_times.step,
        first_times.stage,
        positions.position,
        stage_positions.stage_position,
        first_times.event.person,
        first_times.event.occurred_at,
        first_times.event.silo,
        first_times.event.source,
        first_times.event.record_id,
        first_times.event.is_imputed,
        first_times.stage = '(none)' and positions.position <= {{ funnel_stages() | length }} as is_chained

    from first_times
    inner join positions
        on first_times.step = positions.step
    left join stage_positions
        on first_times.stage = stage_positions.stage

),

final as (

    select
        journey_id,
        account,
        step,
        stage,
        cast(position as integer) as position,
        cast(stage_position as integer) as stage_position,
        person,
        occurred_at,
        silo,
        source,
        record_id,
        is_imputed,
        coalesce(
            is_chained and occurred_at > min(occurred_at) filter (where is_chained) over (
                partition by journey_id
                order by position range between 1 following and unbounded following
            ), false
        ) as is_out_of_order

    from placed

)

select * from final
