-- Mailchimp's activity does not tell opens by machines (privacy proxies, scanners) from those by people.
-- Machines open a message as it arrives, so an open within two minutes of sending counts as one.
with

sends as (

    select * from {{ ref('stg_mailchimp__sends') }}

),

raw_activity as (

    select * from {{ raw_table('mailchimp', 'email_activity') }}

),

raw_unsubscribed as (

    select * from {{ raw_table('mailchimp', 'unsubscribed') }}

),

raw_abuse_reports as (

    select * from {{ raw_table('mailchimp', 'abuse_reports') }}

),

raw_conversations as (

    select * from {{ raw_table('mailchimp', 'conversations') }}

),

raw_messages as (

    select * from {{ raw_table('mailchimp', 'conversation_messages') }}

),

recipients as (

    select
        source,
        message_id,
        email_id,
        any_value(campaign_id) as campaign_id,
        any_value(recipient_id) as recipient_id,
        min(sent_at) as sent_at

    from sends
    group by all

),

sent as (

    select
        source,
        'sent-' || message_id || '-' || recipient_id || '-' || epoch(sent_at) as event_id,
        message_id,
        email_id,
        email,
        'sent' as event_type,
        sent_at as occurred_at,
        cast(null as varchar) as bounce_type,
        cast(null as varchar) as link,
        false as is_automatic,
        loaded_at

    from sends
    where sent_at is not null

),

activity as (

    select
        source,
        action || '-' || campaign_id || '-' || email_id || '-' || epoch(timestamp)
        || case when url = '' then '' else '-' || md5(url) end as event_id,
        campaign_id as message_id,
        email_id,
        email_address as email,
        action as event_type,
        timestamp as occurred_at,
        case when action = 'bounce' then coalesce(type, 'hard') end as bounce_type,
        nullif(url, '') as link,
        false as is_automatic,
        _loaded_at as loaded_at

    from raw_activity
    where action in ('open', 'click', 'bounce')

),

unsubscribes as (

    select
        source,
        'unsubscribe-' || campaign_id || '-' || email_id as event_id,
        campaign_id as message_id,
        email_id,
        email_address as email,
        'unsubscribe' as event_type,
        timestamp as occurred_at,
        cast(null as varchar) as bounce_type,
        cast(null as varchar) as link,
        false as is_automatic,
        _loaded_at as loaded_at

    from raw_unsubscribed

),

complaints as (

    select
        source,
        'complaint-' || campaign_id || '-' || id as event_id,
        campaign_id as message_id,
        email_id,
        email_address as email,
        'complaint' as event_type,
        date as occurred_at,
        cast(null as varchar) as bounce_type,
        cast(null as varchar) as link,
        false as is_automatic,
        _loaded_at as loaded_at

    from raw_abuse_reports

),

-- In a conversation the company answers, too: only who began it is the recipient.
replies as (

    select
        raw_messages.source,
        'reply-' || raw_messages.conversation_id || '-' || epoch(raw_messages.timestamp) as event_id,
        raw_conversations.campaign_id as message_id,
        md5(lower(raw_messages.from_email)) as email_id,
        raw_messages.from_email as email,
        'reply' as event_type,
        raw_messages.timestamp as occurred_at,
        cast(null as varchar) as bounce_type,
        cast(null as varchar) as link,
        regexp_matches(
            coalesce(raw_messages.subject, ''),
            '^\s*(auto(matic)?[ -]?(reply|response)|out of (the )?office|abwesen|absence|réponse auto)',
            'i'
        ) as is_automatic,
        raw_messages._loaded_at as loaded_at

    from raw_messages
    inner join raw_conversations
        on
            raw_messages.conversation_id = raw_conversations.id
            and raw_messages.source = raw_conversations.source
            and lower(raw_messages.from_email) = lower(raw_conversations.from_email)

),

united as (

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
        united.source,
        united.event_id,
        recipients.campaign_id,
        recipients.recipient_id,
        united.message_id,
        united.email,
        united.event_type,
        united.bounce_type,
        united.link,
        united.is_automatic or (
            united.event_type = 'open'
            and coalesce(united.occurred_at <= recipients.sent_at + interval 2 minute, false)
        ) as is_machine,
        united.occurred_at,
        united.loaded_at

    from united
    left join recipients
        on
            united.message_id = recipients.message_id
            and united.email_id = recipients.email_id
            and united.source = recipients.source

)

select * from final
