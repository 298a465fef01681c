-- Mailchimp tells opens by machines (privacy proxies, scanners) from those by people in totals only. Machines
-- open a message as it arrives, so an open within two minutes of sending counts as one.
with

raw_emails as (

    select * from {{ raw_table('mailchimp', 'automation_emails') }}

),

raw_reports as (

    select * from {{ raw_table('mailchimp', 'reports') }}

),

raw_sends as (

    select * from {{ raw_table('mailchimp', 'sends') }}

),

raw_activity as (

    select * from {{ raw_table('mailchimp', 'activity') }}

),

raw_unsubscribes as (

    select * from {{ raw_table('mailchimp', 'unsubscribes') }}

),

raw_complaints as (

    select * from {{ raw_table('mailchimp', 'complaints') }}

),

raw_replies as (

    select * from {{ raw_table('mailchimp', 'replies') }}

),

contacts as (

    select * from {{ ref('stg_mailchimp__contacts') }}
    where has_events

),

-- Where the contact's feed does not say when it was sent, the report does.
sent as (

    select
        raw_sends.source,
        'sent-' || raw_sends.campaign_id || '-' || raw_sends.email_id as event_id,
        raw_sends.campaign_id as message_id,
        raw_sends.list_id,
        raw_sends.email_id,
        raw_sends.email_address as email,
        'sent' as event_type,
        coalesce(raw_sends.sent_at, raw_reports.send_time) as occurred_at,
        raw_sends._loaded_at as loaded_at

    from raw_sends
    left join raw_reports
        on raw_sends.source = raw_reports.source and raw_sends.campaign_id = raw_reports.id

),

activity as (

    select
        raw_activity.source,
        concat_ws(
            '-', raw_activity.action, raw_activity.campaign_id, raw_activity.email_id,
            epoch_ms(raw_activity.occurred_at), raw_activity.number
        ) as event_id,
        raw_activity.campaign_id as message_id,
        raw_activity.list_id,
        raw_activity.email_id,
        raw_activity.email_address as email,
        raw_activity.action as event_type,
        raw_activity.occurred_at,
        raw_activity.action = 'open'
        and coalesce(raw_activity.occurred_at <= sent.occurred_at + interval 2 minute, false) as is_machine,
        case when raw_activity.action = 'bounce' then coalesce(raw_activity.type, 'hard') end as bounce_type,
        raw_activity.url as link,
        raw_activity._loaded_at as loaded_at

    from raw_activity
    left join sent
        on
            raw_activity.source = sent.source
            and raw_activity.campaign_id = sent.message_id
            and raw_activity.email_id = sent.email_id

),

unsubscribes as (

    select
        source,
        'unsubscribe-' || campaign_id || '-' || email_id as event_id,
        campaign_id as message_id,
        list_id,
        email_id,
        email_address as email,
        'unsubscribe' as event_type,
        occurred_at,
        _loaded_at as loaded_at

    from raw_unsubscribes

),

complaints as (

    select
        source,
        'complaint-' || id as event_id,
        campaign_id as message_id,
        list_id,
        email_id,
        email_address as email,
        'complaint' as event_type,
        occurred_at,
        _loaded_at as loaded_at

    from raw_complaints

),

-- A conversation has the answers of the company too; those are not by a contact.
replies as (

    select
        source,
        'reply-' || conversation_id || '-' || number as event_id,
        campaign_id as message_id,
        list_id,
        email_id,
        email_address as email,
        'reply' as event_type,
        occurred_at,
        is_automatic as is_machine,
        _loaded_at as loaded_at

    from raw_replies

),

happened as (

    select * from sent
    union all by name
    select * from activity
    union all by name
    select * from unsubscribes
    union all by name
    select * from complaints
    union all by name
    select * from replies

),

final as (

    select
        happened.source,
        happened.event_id,
        coalesce(raw_emails.workflow_id, happened.message_id) as campaign_id,
        contacts.recipient_id,
        happened.message_id,
        happened.email,
        happened.event_type,
        happened.occurred_at,
        coalesce(happened.is_machine, false) as is_machine,
        happened.bounce_type,
        happened.link,
        happened.loaded_at

    from happened
    inner join contacts
        on
            happened.source = contacts.source
            and happened.list_id = contacts.list_id
            and happened.email_id = contacts.email_id
    left join raw_emails
        on happened.source = raw_emails.source and happened.message_id = raw_emails.id

)

select * from final
