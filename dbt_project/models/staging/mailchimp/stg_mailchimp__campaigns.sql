-- A campaign is a regular one, or an automation with its e-mails as messages. A child is part of its parent.
with

raw_campaigns as (

    select * from {{ raw_table('mailchimp', 'campaigns') }}

),

raw_automations as (

    select * from {{ raw_table('mailchimp', 'automations') }}

),

raw_automation_emails as (

    select * from {{ raw_table('mailchimp', 'automation_emails') }}

),

series as (

    select
        source,
        workflow_id,
        count(*) filter (where not coalesce(is_deleted, false)) as messages

    from raw_automation_emails
    group by all

),

regular as (

    select
        raw_campaigns.source,
        raw_campaigns.id as campaign_id,
        raw_campaigns.title as name,
        raw_campaigns.reply_to,
        raw_campaigns.list_id,
        1 as messages,
        raw_campaigns.is_deleted,
        raw_campaigns.create_time,
        -- Mailchimp only says that it is archived: then since when we know.
        case when raw_campaigns.status = 'archived' then raw_campaigns._loaded_at end as archived_at,
        raw_campaigns._loaded_at

    from raw_campaigns
    anti join raw_automation_emails
        on raw_campaigns.id = raw_automation_emails.id and raw_campaigns.source = raw_automation_emails.source
    where nullif(raw_campaigns.parent_campaign_id, '') is null

),

automations as (

    select
        raw_automations.source,
        raw_automations.id as campaign_id,
        raw_automations.title as name,
        raw_automations.reply_to,
        raw_automations.list_id,
        coalesce(series.messages, 0) as messages,
        raw_automations.is_deleted,
        raw_automations.create_time,
        cast(null as timestamptz) as archived_at,
        raw_automations._loaded_at

    from raw_automations
    left join series
        on raw_automations.id = series.workflow_id and raw_automations.source = series.source

),

united as (

    select * from regular
    union all by name
    select * from automations

),

final as (

    select
        source,
        campaign_id,
        name,
        'marketing' as kind,
        reply_to as sender_email,
        reply_to as owner_email,
        list_id,
        messages,
        coalesce(is_deleted, false) as is_deleted,
        create_time as created_at,
        archived_at,
        _loaded_at as loaded_at

    from united

)

select * from final
