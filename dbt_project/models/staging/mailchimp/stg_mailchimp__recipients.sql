-- A contact is a recipient of its audience: of the first campaign that was sent to it or, before that, of the
-- only one that the audience has.
with

contacts as (

    select * from {{ ref('stg_mailchimp__contacts') }}

),

events as (

    select * from {{ ref('stg_mailchimp__events') }}

),

campaigns as (

    select * from {{ ref('stg_mailchimp__campaigns') }}

),

only_campaigns as (

    select
        source,
        list_id,
        any_value(campaign_id) as campaign_id

    from campaigns
    group by all
    having count(*) = 1

),

by_campaign as (

    select
        source,
        recipient_id,
        campaign_id,
        min(occurred_at) as first_at,
        min(occurred_at) filter (where event_type = 'unsubscribe') as unsubscribed_at,
        bool_or(event_type = 'bounce' and bounce_type = 'hard') as is_bounced,
        bool_or(event_type = 'reply' and not is_machine) as is_replied,
        count(distinct message_id) filter (where event_type = 'sent') as messages_sent

    from events
    group by all

),

outcomes as (

    select
        by_campaign.source,
        by_campaign.recipient_id,
        arg_min(by_campaign.campaign_id, (by_campaign.first_at, by_campaign.campaign_id)) as campaign_id,
        min(by_campaign.unsubscribed_at) as unsubscribed_at,
        bool_or(by_campaign.is_bounced) as is_bounced,
        bool_or(by_campaign.is_replied) as is_replied,
        bool_and(by_campaign.messages_sent >= campaigns.messages) as is_finished

    from by_campaign
    left join campaigns
        on by_campaign.source = campaigns.source and by_campaign.campaign_id = campaigns.campaign_id
    group by all

),

final as (

    select
        contacts.source,
        contacts.recipient_id,
        coalesce(outcomes.campaign_id, only_campaigns.campaign_id) as campaign_id,
        contacts.email,
        contacts.first_name,
        contacts.last_name,
        contacts.company_name,
        case
            when outcomes.is_bounced or contacts.status = 'cleaned' then 'bounced'
            when outcomes.unsubscribed_at is not null or contacts.status = 'unsubscribed' then 'unsubscribed'
            when outcomes.is_replied then 'replied'
            when outcomes.is_finished then 'finished'
            else 'active'
        end as status,
        contacts.is_deleted,
        contacts.added_at,
        coalesce(
            outcomes.unsubscribed_at, case when contacts.status = 'unsubscribed' then contacts.updated_at end
        ) as unsubscribed_at,
        contacts.updated_at,
        contacts.loaded_at

    from contacts
    left join outcomes
        on contacts.source = outcomes.source and contacts.recipient_id = outcomes.recipient_id
    left join only_campaigns
        on contacts.source = only_campaigns.source and contacts.list_id = only_campaigns.list_id

)

select * from final
