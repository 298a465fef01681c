with

events as (

    select
        * exclude (is_machine),
        coalesce(is_machine, false) as is_machine

    from {{ ref('email__events') }}
    where not coalesce(is_deleted, false) and occurred_at < {{ as_of() }}

),

messages as (

    {{ email_messages('events') | indent(4) }}

),

final as (

    select
        source,
        campaign_id,
        recipient_id,
        message_id,
        {%- for name, holds in message_measures().items() %}
        cast({{ holds }} as integer) as {{ name }},
        {%- endfor %}
        {{ local_date('sent_at') }} as sent_on,
        cast(date_trunc('month', {{ local_date('sent_at') }}) as date) as month

    from messages

)

select * from final
