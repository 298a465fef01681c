with

raw_activities as (

    select * from {{ raw_table('pipedrive', 'activities') }}

),

raw_notes as (

    select * from {{ raw_table('pipedrive', 'notes') }}

),

leads as (

    select * from {{ ref('stg_pipedrive__leads') }}

),

-- An account's own types say more than Pipedrive's: inbound_call, sequence_email.
typed as (

    select
        *,
        regexp_extract(type, '^(inbound|outbound|sequence)?_?(.*)$', ['prefix', 'kind']) as named

    from raw_activities
    where done

),

done_activities as (

    select
        source,
        id as activity_id,
        org_id as account_id,
        person_id as contact_id,
        deal_id as opportunity_id,
        owner_id,
        case named['kind'] when 'deadline' then 'task' when 'lunch' then 'meeting' else named['kind'] end
            as activity_type,
        case
            when named['kind'] not in ('call', 'email') then null
            when named['prefix'] = 'inbound' then 'inbound'
            else 'outbound'
        end as direction,
        named['prefix'] = 'sequence' as is_automated,
        is_deleted,
        -- The time it was planned for is when it took place; many are marked as done long after.
        case
            when due_time is not null and due_time != ''
                then timezone('UTC', due_date + cast(due_time as time))
            when cast(timezone('UTC', marked_as_done_time) as date) = due_date then marked_as_done_time
            else coalesce(timezone('UTC', cast(due_date as timestamp)), marked_as_done_time, add_time)
        end as occurred_at,
        update_time as updated_at,
        _loaded_at as loaded_at

    from typed

),

-- Notes are numbered apart from activities.
notes as (

    select
        source,
        concat('note-', id) as activity_id,
        org_id as account_id,
        person_id as contact_id,
        deal_id as opportunity_id,
        user_id as owner_id,
        'note' as activity_type,
        cast(null as varchar) as direction,
        false as is_automated,
        is_deleted or not coalesce(active_flag, true) as is_deleted,
        add_time as occurred_at,
        update_time as updated_at,
        _loaded_at as loaded_at

    from raw_notes

),

every_activity as (

    select * from done_activities
    union all by name
    select * from notes

),

final as (

    select
        every_activity.*,
        leads.lead_id

    from every_activity
    left join leads
        on every_activity.source = leads.source and every_activity.contact_id = leads.lead_id

)

select * from final
