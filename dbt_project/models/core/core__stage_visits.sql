with

opportunities as (

    select
        *,
        case when closed_at < {{ as_of() }} then closed_at end as ended_at

    from {{ ref('core__opportunities') }}
    where coalesce(created_at < {{ as_of() }}, true)

),

history as (

    select * from {{ ref('crm__opportunity_history') }}
    where field = 'stage' and changed_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

stages as (

    select * from {{ ref('crm__stages') }}

),

first_stages as (

    select
        source,
        opportunity_id,
        coalesce(arg_min(coalesce(old_value, ''), changed_at), '') as stage

    from history
    group by all

),

-- The stage it began in: what the first change left, else the present one, which the closed ended in.
moves as (

    select
        opportunities.source,
        opportunities.opportunity_id,
        coalesce(first_stages.stage, opportunities.stage) as stage,
        case
            when first_stages.stage is null then coalesce(opportunities.ended_at, opportunities.created_at)
            else opportunities.created_at
        end as entered_at,
        0 as place

    from opportunities
    left join first_stages
        on
            opportunities.source = first_stages.source
            and opportunities.opportunity_id = first_stages.opportunity_id

    union all

    select
        source,
        opportunity_id,
        new_value,
        changed_at,
        1

    from history

),

known_moves as (

    select
        moves.source,
        moves.opportunity_id,
        opportunities.pipeline,
        moves.stage,
        moves.entered_at,
        moves.place,
        opportunities.ended_at,
        opportunities.outcome as final_outcome,
        coalesce(stages.label, moves.stage) as label,
        stages.position,
        coalesce(stages.outcome, 'open') as outcome

    from moves
    inner join opportunities
        on moves.source = opportunities.source and moves.opportunity_id = opportunities.opportunity_id
    left join stages
        on
            moves.source = stages.source
            and opportunities.pipeline = stages.pipeline
            and moves.stage = stages.stage
    where moves.stage <> '' and moves.entered_at is not null
    qualify coalesce(
        lag(moves.stage) over (
            partition by moves.source, moves.opportunity_id order by moves.entered_at, moves.place
        ) <> moves.stage, true
    )

),

visits as (

    select
        *,
        lead(entered_at) over by_opportunity as next_at,
        lead(position) over by_opportunity as next_position,
        lead(outcome) over by_opportunity as next_outcome,
        lag(position) over by_opportunity as former_position

    from known_moves
    window by_opportunity as (partition by source, opportunity_id order by entered_at, place)

),

-- Every stage between two, and those before the first, was passed without being seen. Nobody skips a stage
-- that nobody visits.
visited as (

    select distinct source, pipeline, stage, label, position from visits
    where outcome = 'open' and position is not null

),

skipped as (

    select
        visits.source,
        visits.opportunity_id,
        visited.pipeline,
        visited.stage,
        visited.label,
        visited.position,
        visits.entered_at,
        visits.entered_at as left_at,
        'advanced' as exit,
        true as is_imputed

    from visits
    inner join visited
        on
            visits.source = visited.source
            and visits.pipeline = visited.pipeline
            and visits.position > visited.position
            and coalesce(visits.former_position < visited.position, true)
    where visits.outcome <> 'lost'

),

witnessed as (

    select
        source,
        opportunity_id,
        pipeline,
        stage,
        label,
        position,
        entered_at,
        coalesce(next_at, ended_at) as left_at,
        case
            when next_at is null and ended_at is null then null
            when coalesce(next_outcome, final_outcome) = 'won' then 'advanced'
            when coalesce(next_outcome, final_outcome) = 'lost' then 'lost'
            when next_position < position then 'back'
            when next_at is not null then 'advanced'
        end as exit,
        false as is_imputed

    from visits
    where outcome = 'open'

),

all_visits as (

    select * from witnessed
    union all by name
    select * from skipped

),

final as (

    select
        all_visits.*,
        opportunities.account,
        coalesce(opportunities.team, '(none)') as team,
        opportunities.opportunity_type,
        opportunities.created_at,
        opportunities.amount

    from all_visits
    inner join opportunities
        on
            all_visits.source = opportunities.source
            and all_visits.opportunity_id = opportunities.opportunity_id

)

select * from final
