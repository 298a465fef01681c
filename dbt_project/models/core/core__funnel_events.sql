with

records as (

    select * from {{ ref('core__funnel_records') }}

),

journeys as (

    select * from {{ ref('core__journeys') }}

),

observed as (

    select
        records.account,
        records.person,
        journeys.journey_id,
        records.step,
        records.stage,
        records.occurred_at,
        records.silo,
        records.source,
        records.record_id,
        records.is_imputed

    from records
    inner join journeys
        on
            records.prospect = journeys.prospect
            and records.belongs_at > coalesce(journeys.began_after, '-infinity')
            and records.belongs_at <= coalesce(journeys.ended_at, 'infinity')

),

chain as (

    select
        unnest([
            {%- for step in funnel_steps() %}
            {
                'step': '{{ step.step }}',
                'position': {{ loop.index }},
                'implies': {{ lower_list(step.implies) }}
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ], recursive := true)

),

first_times as (

    select
        journey_id,
        step,
        any_value(account) as account,
        arg_min(
            struct_pack(
                person := person, occurred_at := occurred_at, silo := silo, source := source,
                record_id := record_id
            ),
            (occurred_at, source, record_id)
        ) as event

    from observed
    group by journey_id, step

),

-- Only steps that this company takes note of at all: nobody skips what nobody records.
recorded_steps as (

    select distinct step from first_times

),

implied as (

    select
        first_times.journey_id,
        first_times.account,
        first_times.event,
        chain.position,
        unnest(chain.implies) as step

    from first_times
    inner join chain
        on first_times.step = chain.step

),

-- Not seen, but passed: at the latest with the next step.
imputed as (

    select
        implied.journey_id,
        implied.step,
        any_value(implied.account) as account,
        arg_min(implied.event, (implied.event.occurred_at, implied.position)) as event

    from implied
    semi join recorded_steps
        on implied.step = recorded_steps.step
    anti join first_times
        on implied.journey_id = first_times.journey_id and implied.step = first_times.step
    group by all

),

final as (

    select * from observed
    union all by name
    select
        account,
        journey_id,
        step,
        unnest(event),
        true as is_imputed

    from imputed

)

select * from final
