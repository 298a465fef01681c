-- Mailchimp's contacts are of an audience, not of a campaign. A contact's own id stands for them in the first
-- campaign they were sent; in a further one they are a recipient of their own, with its id behind theirs. The
-- first one stays the first, so that ids stay.
with

raw_sent_to as (

    select * from {{ raw_table('mailchimp', 'sent_to') }}

),

raw_sends as (

    select * from {{ raw_table('mailchimp', 'sends') }}

),

raw_campaigns as (

    select * from {{ raw_table('mailchimp', 'campaigns') }}

),

raw_automation_emails as (

    select * from {{ raw_table('mailchimp', 'automation_emails') }}

),

raw_members as (

    select * from {{ raw_table('mailchimp', 'members') }}

),

raw_activity as (

    select * from {{ raw_table('mailchimp', 'email_activity') }}

),

first_activity as (

    select
        source,
        campaign_id,
        email_id,
        min(timestamp) as first_at

    from raw_activity
    group by all

),

-- An automation's e-mail goes out in each contact's own time, a campaign in its own. Where the time is not
-- known yet, the first that came of it is the nearest to it.
sends as (

    select
        raw_sent_to.source,
        coalesce(
            raw_automation_emails.workflow_id,
            nullif(raw_campaigns.parent_campaign_id, ''),
            raw_sent_to.campaign_id
        ) as campaign_id,
        raw_sent_to.campaign_id as message_id,
        raw_sent_to.list_id,
        raw_sent_to.email_id,
        raw_sent_to.email_address,
        coalesce(
            raw_sends.created_at_timestamp,
            case when raw_automation_emails.id is null then raw_campaigns.send_time end,
            first_activity.first_at
        ) as sent_at,
        raw_sent_to._loaded_at

    from raw_sent_to
    left join raw_sends
        on
            raw_sent_to.campaign_id = raw_sends.campaign_id
            and raw_sent_to.email_id = raw_sends.email_id
            and raw_sent_to.source = raw_sends.source
    left join raw_automation_emails
        on
            raw_sent_to.campaign_id = raw_automation_emails.id
            and raw_sent_to.source = raw_automation_emails.source
    left join raw_campaigns
        on raw_sent_to.campaign_id = raw_campaigns.id and raw_sent_to.source = raw_campaigns.source
    left join first_activity
        on
            raw_sent_to.campaign_id = first_activity.campaign_id
            and raw_sent_to.email_id = first_activity.email_id
            and raw_sent_to.source = first_activity.source

),

contacts as (

    select
        sends.*,
        coalesce(raw_members.web_id, sends.list_id || '-' || sends.email_id) as contact_id

    from sends
    left join raw_members
        on
            sends.list_id = raw_members.list_id
            and sends.email_id = raw_members.id
            and sends.source = raw_members.source

),

first_sends as (

    select
        source,
        contact_id,
        campaign_id,
        min(sent_at) as first_sent_at

    from contacts
    group by all

),

campaigns_sent as (

    select
        source,
        contact_id,
        campaign_id,
        row_number() over (
            partition by source, contact_id order by first_sent_at asc nulls last, campaign_id asc
        ) as place

    from first_sends

),

final as (

    select
        contacts.source,
        contacts.campaign_id,
        contacts.message_id,
        case
            when campaigns_sent.place = 1 then contacts.contact_id
            else contacts.contact_id || '-' || contacts.campaign_id
        end as recipient_id,
        contacts.contact_id,
        contacts.list_id,
        contacts.email_id,
        contacts.email_address as email,
        campaigns_sent.place as campaign_place,
        contacts.sent_at,
        contacts._loaded_at as loaded_at

    from contacts
    inner join campaigns_sent
        on
            contacts.contact_id = campaigns_sent.contact_id
            and contacts.campaign_id = campaigns_sent.campaign_id
            and contacts.source = campaigns_sent.source

)

select * from final
