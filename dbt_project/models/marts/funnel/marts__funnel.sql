{%- set steps = funnel_steps() | map(attribute='step') | list -%}
with

events as (

    select * from {{ ref('core__funnel_events') }}

),

steps as (

    select
        *,
        source || ':' || record_id as key,
        silo || ':' || key as witness

    from {{ ref('marts__funnel_steps') }}
    where stage = '(none)'

),

cycles as (

    select * from {{ ref('core__journeys') }}

),

leads as (

    select * from {{ ref('crm__leads') }}

),

owners as (

    select * from {{ ref('crm__owners') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

contacted as (

    select * from {{ ref('core__outreach') }}

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}

),

journeys as (

    select
        journey_id,
        any_value(account) as account,
        arg_min(person, (occurred_at, position)) as person,
        min(occurred_at) as began_at,
        {%- for step in steps %}
        max(occurred_at) filter (where step = '{{ step }}') as {{ step }}_at,
        {%- endfor %}
        {%- for step in steps %}
        max(witness) filter (where step = '{{ step }}') as {{ step }}_witness,
        {%- endfor %}
        string_agg(step, ', ' order by position) filter (where is_imputed) as imputed_steps,
        string_agg(step, ', ' order by position) filter (where is_out_of_order) as out_of_order_steps,
        arg_max(step, position) as furthest_step,
        max(key) filter (where step = 'lead' and not is_imputed) as crm_key,
        max(key) filter (where step = 'opportunity' and not is_imputed) as opportunity_key,
        max(key) filter (where step = 'subscribed' and not is_imputed) as billing_key

    from steps
    group by all

),

pursued as (

    select
        events.journey_id,
        bool_and(opportunities.outcome = 'lost') as is_lost,
        max(opportunities.closed_at) as lost_at

    from events
    inner join opportunities
        on events.source = opportunities.source and events.record_id = opportunities.opportunity_id
    where events.step = 'opportunity' and not events.is_imputed
    group by all

),

served as (

    select
        events.journey_id,
        bool_and(subscriptions.ended_at < {{ as_of() }}) as is_ended,
        max(subscriptions.ended_at) as ended_at

    from events
    inner join subscriptions
        on events.source = subscriptions.source and events.record_id = subscriptions.subscription_id
    where events.step = 'subscribed' and not events.is_imputed
    group by all

),

-- A loss that was made good ends nothing, unless the account came back to buy anew.
left_behind as (

    select
        events.journey_id,
        max(events.occurred_at) filter (where events.step = 'churned') as churned_at,
        max(events.occurred_at) filter (where events.step = 'reactivated') as reactivated_at,
        any_value(cycles.ended_at) as ended_at

    from events
    inner join cycles
        on events.journey_id = cycles.journey_id
    where events.step in ('churned', 'reactivated')
    group by all

),

exits as (

    select
        journeys.journey_id,
        contacted.email_key,
        case
            when
                left_behind.ended_at is not null
                or left_behind.churned_at > coalesce(left_behind.reactivated_at, '-infinity')
                then 'churned'
            when journeys.furthest_step in ('contacted', 'engaged') and contacted.is_over
                then replace(contacted.last_status, 'finished', 'unanswered')
            when journeys.furthest_step = 'replied' and contacted.is_turned_down then 'turned_down'
            when journeys.furthest_step = 'opportunity' and pursued.is_lost then 'lost'
            when journeys.furthest_step = 'subscribed' and coalesce(served.is_ended, false) then 'never_paid'
        end as exit_reason,
        contacted.over_at,
        contacted.turned_down_at,
        left_behind.churned_at,
        pursued.lost_at,
        served.ended_at

    from journeys
    left join contacted on journeys.journey_id = contacted.journey_id
    left join pursued on journeys.journey_id = pursued.journey_id
    left join served on journeys.journey_id = served.journey_id
    left join left_behind on journeys.journey_id = left_behind.journey_id

),

-- Whose it is: of the first opportunity, else of the first lead.
belongs as (

    select
        journeys.journey_id,
        coalesce(opportunities.team, owners.team) as team,
        coalesce(opportunities.region, owners.region) as region,
        coalesce(leads.lead_source, opportunities.lead_source) as lead_source

    from journeys
    left join opportunities
        on journeys.opportunity_key = opportunities.source || ':' || opportunities.opportunity_id
    left join leads
        on journeys.crm_key = leads.source || ':' || leads.lead_id
    left join owners
        on leads.source = owners.source and leads.owner_id = owners.owner_id

),

final as (

    select
        journeys.journey_id,
        cycles.cycle,
        journeys.account,
        journeys.person,
        cast(date_trunc('month', {{ local_date('journeys.began_at') }}) as date) as cohort_month,
        {%- for step in steps %}
        journeys.{{ step }}_at,
        {%- endfor %}
        {%- for step in steps %}
        journeys.{{ step }}_witness,
        {%- endfor %}
        journeys.imputed_steps,
        journeys.out_of_order_steps,
        journeys.furthest_step,
        case
            when exits.exit_reason = 'churned' then exits.churned_at
            when exits.exit_reason = 'lost' then exits.lost_at
            when exits.exit_reason = 'turned_down' then exits.turned_down_at
            when exits.exit_reason = 'never_paid' then exits.ended_at
            when exits.exit_reason is not null then exits.over_at
        end as exited_at,
        exits.exit_reason,
        exits.email_key,
        journeys.crm_key,
        journeys.opportunity_key,
        journeys.billing_key,
        belongs.team,
        belongs.region,
        belongs.lead_source

    from journeys
    left join cycles
        on journeys.journey_id = cycles.journey_id
    left join exits
        on journeys.journey_id = exits.journey_id
    left join belongs
        on journeys.journey_id = belongs.journey_id

)

select * from final
