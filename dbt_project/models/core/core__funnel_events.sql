with

records as (

    select * from {{ ref('core__funnel_records') }}

),

journeys as (

    select
        * exclude (began_after),
        coalesce(began_after, '-infinity') as began_after

    from {{ ref('core__journeys') }}

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
    asof inner join journeys
        on records.prospect = journeys.prospect and records.belongs_at > journeys.began_after

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
        observed.journey_id,
        observed.step,
        chain.position,
        chain.implies,
        any_value(observed.account) as account,
        arg_min(
            struct_pack(
                person := observed.person, occurred_at := observed.occurred_at, silo := observed.silo,
                source := observed.source, record_id := observed.record_id
            ),
            (observed.occurred_at, observed.source, observed.record_id)
        ) as event

    from observed
    inner join chain
        on observed.step = chain.step
    group by all

),

-- Only steps that this company takes note of at all: nobody skips what nobody records.
recorded_steps as (

    select distinct step from first_times

),

implied as (

    select
        journey_id,
        account,
        position,
        event,
        unnest(implies) as step

    from first_times

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
