{%- set steps = funnel_steps() -%}
with

events as (

    select * from {{ ref('core__funnel_events') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

email_events as (

    select * from {{ ref('email__events') }}

),

recipients as (

    select * from {{ ref('email__recipients') }}

),

email_leads as (

    select * from {{ ref('email__leads') }}
    where not coalesce(is_deleted, false)

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}

),

positions as (

    select
        unnest({{ steps }}) as step,
        unnest(range(1, {{ steps | length + 1 }})) as position

),

first_times as (

    select
        events.journey_id,
        events.step,
        positions.position,
        any_value(events.account) as account,
        arg_min(events.person, (events.occurred_at, events.source, events.record_id)) as person,
        min(events.occurred_at) as reached_at,
        bool_and(events.is_imputed) as is_imputed,
        arg_min(
            events.source || ':' || events.record_id, (events.occurred_at, events.source, events.record_id)
        ) as key

    from events
    inner join positions
        on events.step = positions.step
    group by all

),

journeys as (

    select
        journey_id,
        any_value(account) as account,
        arg_min(person, (reached_at, position)) as person,
        min(reached_at) as began_at,
        {%- for step in steps %}
        max(reached_at) filter (where step = '{{ step }}') as {{ step }}_at,
        {%- endfor %}
        string_agg(step, ', ' order by position) filter (where is_imputed) as imputed_steps,
        arg_max(step, position) as furthest_step,
        max(key) filter (where step = 'lead') as crm_key,
        max(key) filter (where step = 'opportunity') as opportunity_key,
        max(key) filter (where step = 'subscribed') as billing_key

    from first_times
    group by all

),

-- The people of a journey in campaigns: once all of them are done with, one that got no further is over.
outreach as (

    select distinct
        events.journey_id,
        email_events.source,
        email_events.recipient_id

    from events
    inner join email_events
        on events.source = email_events.source and events.record_id = email_events.event_id
    where events.silo = 'email'

),

last_messages as (

    select
        source,
        recipient_id,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at

    from email_events
    where occurred_at < {{ as_of() }}
    group by all

),

contacted as (

    select
        outreach.journey_id,
        arg_min(
            outreach.source || ':' || outreach.recipient_id,
            (last_messages.first_at, outreach.source, outreach.recipient_id)
        ) as email_key,
        bool_and(recipients.status in ('finished', 'unsubscribed', 'bounced')) as is_over,
        bool_and(email_leads.status in ('lost', 'ignored')) as is_turned_down,
        max(coalesce(recipients.unsubscribed_at, last_messages.last_at)) as over_at,
        max(email_leads.closed_at) as turned_down_at,
        arg_max(recipients.status, (last_messages.last_at, recipients.status)) as last_status

    from outreach
    inner join last_messages
        on outreach.source = last_messages.source and outreach.recipient_id = last_messages.recipient_id
    left join recipients
        on outreach.source = recipients.source and outreach.recipient_id = recipients.recipient_id
    left join email_leads
        on outreach.source = email_leads.source and outreach.recipient_id = email_leads.recipient_id
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

exits as (

    select
        journeys.journey_id,
        contacted.email_key,
        case
            when journeys.furthest_step in ('contacted', 'engaged') and contacted.is_over
                then replace(contacted.last_status, 'finished', 'unanswered')
            when journeys.furthest_step = 'replied' and contacted.is_turned_down then 'turned_down'
            when journeys.furthest_step = 'opportunity' and pursued.is_lost then 'lost'
            when journeys.furthest_step = 'subscribed' and coalesce(served.is_ended, false) then 'never_paid'
        end as exit_reason,
        contacted.over_at,
        contacted.turned_down_at,
        pursued.lost_at,
        served.ended_at

    from journeys
    left join contacted on journeys.journey_id = contacted.journey_id
    left join pursued on journeys.journey_id = pursued.journey_id
    left join served on journeys.journey_id = served.journey_id

),

final as (

    select
        journeys.journey_id,
        journeys.account,
        journeys.person,
        cast(date_trunc('month', {{ local_date('journeys.began_at') }}) as date) as cohort_month,
        {%- for step in steps %}
        journeys.{{ step }}_at,
        {%- endfor %}
        journeys.imputed_steps,
        journeys.furthest_step,
        case
            when exits.exit_reason = 'lost' then exits.lost_at
            when exits.exit_reason = 'turned_down' then exits.turned_down_at
            when exits.exit_reason = 'never_paid' then exits.ended_at
            when exits.exit_reason is not null then exits.over_at
        end as exited_at,
        exits.exit_reason,
        exits.email_key,
        journeys.crm_key,
        journeys.opportunity_key,
        journeys.billing_key

    from journeys
    left join exits
        on journeys.journey_id = exits.journey_id

)

select * from final
