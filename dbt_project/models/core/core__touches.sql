with

events as (

    select * from {{ ref('core__funnel_events') }}
    where not is_imputed

),

email_events as (

    select * from {{ ref('email__events') }}

),

members as (

    select * from {{ ref('crm__campaign_members') }}

),

leads as (

    select * from {{ ref('crm__leads') }}

),

campaigns as (

    select * from {{ ref('core__campaigns') }}

),

-- A message is one touch, however often it was opened.
messages as (

    select
        events.journey_id,
        'email' as kind,
        email_events.source,
        email_events.recipient_id || ':' || coalesce(email_events.message_id, email_events.event_id)
            as record_id,
        'email' as channel,
        any_value(email_events.source || ':' || email_events.campaign_id) as campaign_key,
        min(events.occurred_at) as occurred_at

    from events
    inner join email_events
        on events.source = email_events.source and events.record_id = email_events.event_id
    where events.silo = 'email' and events.step = 'engaged'
    group by all

),

responses as (

    select
        events.journey_id,
        'campaign' as kind,
        events.source,
        events.record_id,
        campaigns.channel,
        events.source || ':' || members.campaign_id as campaign_key,
        events.occurred_at

    from events
    inner join members
        on
            events.source = members.source
            and events.record_id = members.campaign_id || ':' || members.member_id
    left join campaigns
        on members.source = campaigns.source and members.campaign_id = campaigns.campaign_id
    where events.step = 'responded'

),

became_leads as (

    select
        events.journey_id,
        'lead' as kind,
        events.source,
        events.record_id,
        coalesce(lower(trim(leads.lead_source)), campaigns.channel) as channel,
        coalesce(campaigns.campaign_key, leads.source || ':' || leads.campaign_id) as campaign_key,
        events.occurred_at

    from events
    inner join leads
        on events.source = leads.source and events.record_id = leads.lead_id
    left join campaigns
        on leads.campaign_id = campaigns.campaign_id and campaigns.is_only_one
    where events.step = 'lead'

),

touches as (

    select * from messages
    union all
    select * from responses
    union all
    select * from became_leads

),

final as (

    select
        touches.* exclude (channel),
        coalesce(touches.channel, 'campaign') as channel

    from touches
    where touches.channel is not null or touches.campaign_key is not null

)

select * from final
