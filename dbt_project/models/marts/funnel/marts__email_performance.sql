with

campaigns as (

    select * from {{ ref('email__campaigns') }}

),

events as (

    select
        * exclude (is_machine),
        coalesce(is_machine, false) as is_machine

    from {{ ref('email__events') }}
    where not coalesce(is_deleted, false) and occurred_at < {{ as_of() }}

),

owners as (

    select
        lower(trim(email)) as email,
        min(owner_id) as owner_id

    from {{ ref('crm__owners') }}
    group by all

),

messages as (

    select
        source,
        campaign_id,
        recipient_id,
        message_id,
        coalesce(min(occurred_at) filter (where event_type = 'sent'), min(occurred_at)) as sent_at,
        bool_or(event_type in ('sent', 'delivered', 'bounce')) as is_sent,
        bool_or(event_type = 'bounce') and not bool_or(event_type = 'delivered') as is_bounced,
        bool_or(event_type = 'open') as is_opened,
        bool_or(event_type = 'open' and not is_machine) as is_opened_by_people,
        bool_or(event_type = 'click' and not is_machine) as is_clicked,
        bool_or(event_type = 'reply' and not is_machine) as is_replied,
        bool_or(event_type = 'reply' and is_machine) as is_auto_replied,
        bool_or(event_type = 'unsubscribe') as is_unsubscribed,
        bool_or(event_type = 'complaint') as is_complained

    from events
    group by all

),

by_month as (

    select
        source,
        campaign_id,
        cast(date_trunc('month', {{ local_date('sent_at') }}) as date) as month,
        count(*) filter (where is_sent) as sent,
        count(*) filter (where is_bounced) as bounced,
        count(*) filter (where is_sent and not is_bounced) as delivered,
        count(*) filter (where is_opened) as opened,
        count(*) filter (where is_opened and not is_opened_by_people) as machine_opened,
        count(*) filter (where is_clicked) as clicked,
        count(*) filter (where is_replied) as replied,
        count(*) filter (where is_auto_replied) as auto_replied,
        count(*) filter (where is_unsubscribed) as unsubscribed,
        count(*) filter (where is_complained) as complained

    from messages
    group by all

),

final as (

    select
        by_month.source,
        by_month.campaign_id,
        by_month.month,
        by_month.sent,
        by_month.bounced,
        by_month.delivered,
        by_month.opened,
        by_month.machine_opened,
        by_month.clicked,
        by_month.replied,
        by_month.auto_replied,
        by_month.unsubscribed,
        by_month.complained,
        {%- for kpi in kpi_formulas()['email'] %}
        cast({{ kpi_ratio('email', kpi) }} as decimal(38, 12)) as {{ kpi | replace('email_', '') }},
        {%- endfor %}
        campaigns.kind,
        owners.owner_id

    from by_month
    left join campaigns
        on by_month.source = campaigns.source and by_month.campaign_id = campaigns.campaign_id
    left join owners
        on lower(trim(campaigns.owner_email)) = owners.email

)

select * from final
