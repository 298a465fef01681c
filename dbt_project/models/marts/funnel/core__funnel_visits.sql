with

stage_visits as (

    select * from {{ ref('core__stage_visits') }}

),

journeys as (

    select
        *,
        coalesce(string_split(imputed_steps, ', '), []) as imputed

    from {{ ref('marts__funnel') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

-- Before there is an opportunity nobody knows an amount; a deal won has its own until the first bill is paid.
journey_visits as (

    select
        journey_id,
        imputed,
        exited_at,
        team,
        unnest([
            {
                'step': 'lead', 'position': 4, 'entered_at': lead_at,
                'next_at': least(mql_at, sql_at, opportunity_at, won_at), 'won_witness': null
            },
            {
                'step': 'mql', 'position': 5, 'entered_at': mql_at,
                'next_at': least(sql_at, opportunity_at, won_at), 'won_witness': null
            },
            {
                'step': 'sql', 'position': 6, 'entered_at': sql_at,
                'next_at': least(opportunity_at, won_at), 'won_witness': null
            },
            {
                'step': 'won', 'position': 8, 'entered_at': won_at,
                'next_at': paid_at, 'won_witness': won_witness
            }
        ], recursive := true)

    from journeys

),

all_visits as (

    select
        'opportunity' as step,
        label as stage,
        7 as position,
        team,
        source,
        opportunity_id,
        entered_at,
        left_at,
        exit,
        is_imputed,
        amount

    from stage_visits

    union all by name

    select
        journey_visits.step,
        '(none)' as stage,
        journey_visits.position,
        coalesce(journey_visits.team, '(none)') as team,
        opportunities.source,
        opportunities.opportunity_id,
        journey_visits.entered_at,
        case
            when coalesce(journey_visits.next_at, journey_visits.exited_at) is not null
                then greatest(
                    journey_visits.entered_at, coalesce(journey_visits.next_at, journey_visits.exited_at)
                )
        end as left_at,
        case
            when journey_visits.next_at is not null then 'advanced'
            when journey_visits.exited_at is not null then 'lost'
        end as exit,
        list_contains(journey_visits.imputed, journey_visits.step) as is_imputed,
        opportunities.amount

    from journey_visits
    left join opportunities
        on journey_visits.won_witness = 'crm:' || opportunities.source || ':' || opportunities.opportunity_id
    where
        journey_visits.entered_at is not null
        and (journey_visits.step <> 'won' or {{ 'billing' in var('silos') }})

),

final as (

    select
        *,
        exit is not null as has_left,
        -- An imputed visit has no time of its own.
        case
            when not is_imputed
                then {{ local_date("coalesce(left_at, " ~ as_of() ~ ")") }} - {{ local_date('entered_at') }}
        end as days

    from all_visits

)

select * from final
