-- Whoever draws a journey as a line needs to know where it runs backwards, and what on it nobody saw:
-- an imputed step has the time of a later one of its silo that was witnessed.
with

steps as (

    select * from {{ ref('marts__funnel_steps') }}
    where stage = '(none)'

),

chain as (

    select
        unnest([
            {%- for step in funnel_steps() %}
            {
                'step': '{{ step.step }}',
                'implies': {{ lower_list(step.implies) }}
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ], recursive := true)

),

backwards as (

    select distinct earlier.journey_id, earlier.step, 'later than a step that follows it' as failure
    from steps as earlier
    inner join steps as later
        on earlier.journey_id = later.journey_id and earlier.position < later.position
    where
        later.position <= {{ funnel_stages() | length }}
        and earlier.occurred_at > later.occurred_at
        and not earlier.is_out_of_order

),

implied as (

    select steps.journey_id, steps.occurred_at, unnest(chain.implies) as step
    from steps
    inner join chain on steps.step = chain.step
    where not steps.is_imputed

),

unfounded as (

    select steps.journey_id, steps.step, 'imputed, but no step that implies it has its time' as failure
    from steps
    anti join implied as founded
        on
            steps.journey_id = founded.journey_id
            and steps.step = founded.step
            and steps.occurred_at = founded.occurred_at
    where steps.is_imputed and steps.silo <> 'crm'

)

select * from backwards
union all
select * from unfounded
