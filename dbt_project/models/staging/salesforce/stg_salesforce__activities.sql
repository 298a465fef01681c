with

raw_tasks as (

    select * from {{ raw_table('salesforce', 'tasks') }}

),

raw_events as (

    select * from {{ raw_table('salesforce', 'events') }}

),

raw_leads as (

    select * from {{ raw_table('salesforce', 'leads') }}

),

tasks as (

    select
        *,
        case
            when task_subtype in ('Email', 'ListEmail') or type = 'Email' then 'email'
            when task_subtype = 'Call' or type = 'Call' then 'call'
            when type in ('Meeting', 'Note') then lower(type)
            else 'task'
        end as activity_type,
        case when call_type in ('Inbound', 'Outbound') then lower(call_type) end as direction,
        coalesce(task_subtype = 'ListEmail', false) as is_automated,
        coalesce(
            completed_date_time, timezone('UTC', cast(activity_date as timestamp)), created_date
        ) as occurred_at

    from raw_tasks

),

meetings as (

    select
        *,
        'meeting' as activity_type,
        false as is_automated,
        coalesce(start_date_time, created_date) as occurred_at

    from raw_events

),

activities as (

    select * from tasks
    union all by name
    select * from meetings

),

-- A converted lead's activities go over to the contact.
converted as (

    select
        source,
        converted_contact_id as contact_id,
        arg_min(id, (created_date, id)) as lead_id

    from raw_leads
    where is_converted and not is_deleted
    group by all

),

final as (

    select
        activities.source,
        activities.id as activity_id,
        activities.account_id,
        case when activities.who_type = 'Contact' then activities.who_id end as contact_id,
        case when activities.who_type = 'Lead' then activities.who_id else converted.lead_id end as lead_id,
        case when activities.what_type = 'Opportunity' then activities.what_id end as opportunity_id,
        activities.owner_id,
        activities.activity_type,
        activities.direction,
        activities.is_automated,
        activities.is_deleted,
        activities.occurred_at,
        activities.system_modstamp as updated_at,
        activities._loaded_at as loaded_at

    from activities
    left join converted
        on
            activities.source = converted.source
            and activities.who_id = converted.contact_id
            and activities.who_type = 'Contact'

)

select * from final
