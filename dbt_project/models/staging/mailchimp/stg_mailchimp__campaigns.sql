-- An automation is one campaign, of as many messages as it has e-mails. Of e-mails that no list shows, such
-- as those of automation flows, there is the report only: each is a campaign of its own.
with

raw_campaigns as (

    select * from {{ raw_table('mailchimp', 'campaigns') }}

),

raw_automations as (

    select * from {{ raw_table('mailchimp', 'automations') }}

),

raw_emails as (

    select * from {{ raw_table('mailchimp', 'automation_emails') }}

),

raw_reports as (

    select * from {{ raw_table('mailchimp', 'reports') }}

),

email_counts as (

    select
        source,
        workflow_id,
        count(*) filter (where not coalesce(is_deleted, false)) as messages

    from raw_emails
    group by all

),

campaigns as (

    select
        source,
        id as campaign_id,
        title as name,
        reply_to as sender_email,
        1 as messages,
        list_id,
        is_deleted,
        create_time as created_at,
        -- Mailchimp does not say since when it is archived: then since when we know.
        case when status = 'archived' then _loaded_at end as archived_at,
        _loaded_at as loaded_at

    from raw_campaigns

),

automations as (

    select
        raw_automations.source,
        raw_automations.id as campaign_id,
        raw_automations.title as name,
        raw_automations.reply_to as sender_email,
        coalesce(email_counts.messages, 0) as messages,
        raw_automations.list_id,
        raw_automations.is_deleted,
        raw_automations.create_time as created_at,
        case
            when raw_automations.status in ('paused', 'archived') then raw_automations._loaded_at
        end as archived_at,
        raw_automations._loaded_at as loaded_at

    from raw_automations
    left join email_counts
        on raw_automations.source = email_counts.source and raw_automations.id = email_counts.workflow_id

),

reported as (

    select
        raw_reports.source,
        raw_reports.id as campaign_id,
        raw_reports.campaign_title as name,
        cast(null as varchar) as sender_email,
        1 as messages,
        raw_reports.list_id,
        raw_reports.is_deleted,
        raw_reports.send_time as created_at,
        cast(null as timestamptz) as archived_at,
        raw_reports._loaded_at as loaded_at

    from raw_reports
    anti join raw_campaigns
        on raw_reports.source = raw_campaigns.source and raw_reports.id = raw_campaigns.id
    anti join raw_emails
        on raw_reports.source = raw_emails.source and raw_reports.id = raw_emails.id

),

listed as (

    select * from campaigns
    union all by name
    select * from automations
    union all by name
    select * from reported

),

final as (

    select
        source,
        campaign_id,
        name,
        'marketing' as kind,
        sender_email,
        sender_email as owner_email,
        messages,
        list_id,
        coalesce(is_deleted, false) as is_deleted,
        created_at,
        archived_at,
        loaded_at

    from listed

)

select * from final
