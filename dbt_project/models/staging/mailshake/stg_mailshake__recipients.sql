-- Mailshake's recipients have no status: it follows from what was sent to them and what came of it.
with

raw_recipients as (

    select * from {{ raw_table('mailshake', 'recipients') }}

),

events as (

    select * from {{ ref('stg_mailshake__events') }}

),

campaigns as (

    select * from {{ ref('stg_mailshake__campaigns') }}

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

final as (

    select
        raw_recipients.source,
        raw_recipients.id as recipient_id,
        raw_recipients.campaign_id,
        raw_recipients.email,
        raw_recipients.first as first_name,
        raw_recipients.last as last_name,
        coalesce(
            json_extract_string(raw_recipients.fields, '$.company'),
            json_extract_string(raw_recipients.fields, '$.account')
        ) as company_name,
        case
            when outcomes.is_bounced then 'bounced'
            when outcomes.unsubscribed_at is not null then 'unsubscribed'
            when outcomes.is_replied then 'replied'
            when raw_recipients.is_paused then 'paused'
            when outcomes.messages_sent >= campaigns.messages then 'finished'
            else 'active'
        end as status,
        coalesce(raw_recipients.is_deleted, false) as is_deleted,
        raw_recipients.created as added_at,
        outcomes.unsubscribed_at,
        raw_recipients._loaded_at as loaded_at

    from raw_recipients
    left join outcomes
        on raw_recipients.id = outcomes.recipient_id and raw_recipients.source = outcomes.source
    left join campaigns
        on raw_recipients.campaign_id = campaigns.campaign_id and raw_recipients.source = campaigns.source

)

select * from final
