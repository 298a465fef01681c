-- Mailshake does not tell opens by machines (privacy proxies, scanners) from those by people. Machines open a
-- message as it arrives, so an open within two minutes of sending counts as one.
with

raw_sent as (

    select * from {{ raw_table('mailshake', 'sent') }}

),

raw_opens as (

    select * from {{ raw_table('mailshake', 'opens') }}

),

raw_clicks as (

    select * from {{ raw_table('mailshake', 'clicks') }}

),

raw_replies as (

    select * from {{ raw_table('mailshake', 'replies') }}

),

sent as (

    select
        source,
        'sent-' || id as event_id,
        campaign_id,
        recipient_id,
        message_id,
        email,
        'sent' as event_type,
        action_date as occurred_at,
        false as is_machine,
        cast(null as varchar) as bounce_type,
        cast(null as varchar) as link,
        _loaded_at as loaded_at

    from raw_sent

),

opens as (

    select
        raw_opens.source,
        'open-' || raw_opens.id as event_id,
        raw_opens.campaign_id,
        raw_opens.recipient_id,
        raw_opens.message_id,
        raw_opens.email,
        'open' as event_type,
        raw_opens.action_date as occurred_at,
        coalesce(raw_opens.action_date <= raw_sent.action_date + interval 2 minute, false) as is_machine,
        cast(null as varchar) as bounce_type,
        cast(null as varchar) as link,
        raw_opens._loaded_at as loaded_at

    from raw_opens
    left join raw_sent
        on raw_opens.sent_id = raw_sent.id and raw_opens.source = raw_sent.source

),

clicks as (

    select
        source,
        'click-' || id as event_id,
        campaign_id,
        recipient_id,
        message_id,
        email,
        'click' as event_type,
        action_date as occurred_at,
        false as is_machine,
        cast(null as varchar) as bounce_type,
        link,
        _loaded_at as loaded_at

    from raw_clicks

),

-- A delay notice says that a message is still on its way: nothing has happened yet. A type Mailshake may add
-- is taken for an automatic reply, never for a person's.
replies as (

    select
        source,
        'reply-' || id as event_id,
        campaign_id,
        recipient_id,
        message_id,
        email,
        case when type in ('bounce', 'unsubscribe') then type else 'reply' end as event_type,
        action_date as occurred_at,
        coalesce(type not in ('reply', 'bounce', 'unsubscribe'), true) as is_machine,
        case
            when type = 'bounce' and code like '4%' then 'soft'
            when type = 'bounce' then 'hard'
        end as bounce_type,
        cast(null as varchar) as link,
        _loaded_at as loaded_at

    from raw_replies
    where type is distinct from 'delay-notification'

),

final as (

    select * from sent
    union all by name
    select * from opens
    union all by name
    select * from clicks
    union all by name
    select * from replies

)

select * from final
