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

    {{ email_messages('events') | indent(4) }}

),

by_month as (

    select
        source,
        campaign_id,
        {%- for name, holds in message_measures().items() %}
        count(*) filter (where {{ holds }}) as {{ name }},
        {%- endfor %}
        cast(date_trunc('month', {{ local_date('sent_at') }}) as date) as month

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
