with

leads as (

    select * from {{ ref('crm__leads') }}
    where created_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

outbound as (

    select * from {{ ref('crm__activities') }}
    where
        direction = 'outbound'
        and not coalesce(is_automated, false)
        and not coalesce(is_deleted, false)
        and occurred_at < {{ as_of() }}

),

owners as (

    select * from {{ ref('crm__owners') }}

),

-- What somebody did after the lead was there; what a sequence sends is no answer.
-- Minutes are those of the clock: some CRMs keep no seconds of what people did.
answers as (

    select
        leads.source,
        leads.lead_id,
        min(outbound.occurred_at) as answered_at

    from leads
    inner join outbound
        on
            leads.source = outbound.source
            and leads.lead_id = outbound.lead_id
            and date_trunc('minute', leads.created_at) <= outbound.occurred_at
    group by all

),

timed as (

    select
        leads.source,
        leads.lead_id,
        leads.owner_id,
        owners.team,
        leads.lead_source,
        leads.created_at,
        -- The CRM's own date, too, if it is of an answer.
        least(
            answers.answered_at,
            case
                when
                    leads.first_response_at >= date_trunc('minute', leads.created_at)
                    and leads.first_response_at < {{ as_of() }}
                    then leads.first_response_at
            end
        ) as answered_at

    from leads
    left join answers
        on leads.source = answers.source and leads.lead_id = answers.lead_id
    left join owners
        on leads.source = owners.source and leads.owner_id = owners.owner_id

),

waited as (

    select
        *,
        {{ business_seconds("date_trunc('minute', coalesce(answered_at, " ~ as_of() ~ "))") | indent(8) }}
        - {{ business_seconds("date_trunc('minute', created_at)") | indent(8) }} as waited_seconds

    from timed

),

-- Who is not answered yet, and still may be in time, is neither a hit nor a miss.
final as (

    select
        source,
        lead_id,
        coalesce(owner_id, '(none)') as owner_id,
        coalesce(team, '(none)') as team,
        coalesce(lead_source, '(none)') as lead_source,
        {{ local_date('created_at') }} as created_on,
        cast(date_trunc('month', {{ local_date('created_at') }}) as date) as month,
        answered_at,
        cast(answered_at is not null as integer) as answered,
        case when answered_at is not null then waited_seconds // 60 end as minutes,
        cast(waited_seconds > 60 * {{ var('policies').lead_sla_minutes }} as integer) as missed,
        greatest(answered, missed) as judged

    from waited

)

select * from final
