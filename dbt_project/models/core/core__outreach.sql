with

events as (

    select * from {{ ref('core__funnel_events') }}
    where silo = 'email'

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

-- The people of a journey in campaigns: once all of them are done with, one that got no further is over.
outreach as (

    select distinct
        events.journey_id,
        email_events.source,
        email_events.recipient_id

    from events
    inner join email_events
        on events.source = email_events.source and events.record_id = email_events.event_id

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

final as (

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

)

select * from final
