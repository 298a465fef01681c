with

raw_members as (

    select * from {{ raw_table('mailchimp', 'members') }}

),

sends as (

    select * from {{ ref('stg_mailchimp__sends') }}

),

campaigns as (

    select * from {{ ref('stg_mailchimp__campaigns') }}

),

events as (

    select * from {{ ref('stg_mailchimp__events') }}

),

-- A contact whose address changed is a new member with the same id.
members as (

    select
        *,
        coalesce(is_deleted, false) or status = 'archived' as is_gone

    from raw_members
    qualify row_number() over (
        partition by source, web_id
        order by coalesce(is_deleted, false) asc, last_changed desc, id asc
    ) = 1

),

sent_campaigns as (

    select
        source,
        recipient_id,
        any_value(contact_id) as contact_id,
        any_value(campaign_id) as campaign_id,
        any_value(campaign_place) as campaign_place,
        any_value(email) as email,
        min(sent_at) as first_sent_at,
        max(loaded_at) as loaded_at

    from sends
    group by all

),

-- Before a contact was sent anything, only an audience's one campaign says what they are in it for.
only_campaigns as (

    select
        source,
        list_id,
        any_value(campaign_id) as campaign_id

    from campaigns
    group by all
    having count(*) = 1

),

outcomes as (

    select
        source,
        recipient_id,
        min(case when event_type = 'unsubscribe' then occurred_at end) as unsubscribed_at,
        bool_or(event_type = 'bounce' and bounce_type = 'hard') as is_bounced,
        bool_or(event_type = 'reply' and not is_machine) as is_replied,
        count(distinct case when event_type = 'sent' then message_id end) as messages_sent

    from events
    group by all

),

placed as (

    select
        coalesce(members.source, sent_campaigns.source) as source,
        coalesce(sent_campaigns.recipient_id, members.web_id) as recipient_id,
        coalesce(sent_campaigns.campaign_id, only_campaigns.campaign_id) as campaign_id,
        coalesce(members.email_address, sent_campaigns.email) as email,
        members.merge_fields,
        members.status,
        coalesce(members.is_gone, true) as is_gone,
        case
            when coalesce(sent_campaigns.campaign_place, 1) = 1
                then coalesce(members.timestamp_signup, members.timestamp_opt, sent_campaigns.first_sent_at)
            else sent_campaigns.first_sent_at
        end as added_at,
        members.last_changed,
        greatest(members._loaded_at, sent_campaigns.loaded_at) as loaded_at

    from members
    full join sent_campaigns
        on members.web_id = sent_campaigns.contact_id and members.source = sent_campaigns.source
    left join only_campaigns
        on members.list_id = only_campaigns.list_id and members.source = only_campaigns.source

),

final as (

    select
        placed.source,
        placed.recipient_id,
        placed.campaign_id,
        placed.email,
        nullif(json_extract_string(placed.merge_fields, '$.FNAME'), '') as first_name,
        nullif(json_extract_string(placed.merge_fields, '$.LNAME'), '') as last_name,
        nullif(json_extract_string(placed.merge_fields, '$.COMPANY'), '') as company_name,
        case
            when outcomes.is_bounced or placed.status = 'cleaned' then 'bounced'
            when outcomes.unsubscribed_at is not null or placed.status = 'unsubscribed' then 'unsubscribed'
            when outcomes.is_replied then 'replied'
            when outcomes.messages_sent >= campaigns.messages then 'finished'
            else 'active'
        end as status,
        placed.is_gone as is_deleted,
        placed.added_at,
        coalesce(
            outcomes.unsubscribed_at, case when placed.status = 'unsubscribed' then placed.last_changed end
        ) as unsubscribed_at,
        placed.last_changed as updated_at,
        placed.loaded_at

    from placed
    left join outcomes
        on placed.recipient_id = outcomes.recipient_id and placed.source = outcomes.source
    left join campaigns
        on placed.campaign_id = campaigns.campaign_id and placed.source = campaigns.source

)

select * from final
