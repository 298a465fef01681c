with

raw_activities as (

    select * from {{ raw_table('hubspot', 'activities') }}

),

leads as (

    select * from {{ ref('stg_hubspot__leads') }}

),

activities as (

    select
        source,
        id as activity_id,
        json_extract_string(company_ids, '$[0]') as account_id,
        json_extract_string(contact_ids, '$[0]') as contact_id,
        json_extract_string(deal_ids, '$[0]') as opportunity_id,
        hubspot_owner_id as owner_id,
        activity_type,
        case
            when hs_email_direction = 'INCOMING_EMAIL' then 'inbound'
            when hs_email_direction is not null then 'outbound'
            else lower(hs_call_direction)
        end as direction,
        coalesce(
            hs_object_source in ('SEQUENCES', 'AUTOMATION_PLATFORM', 'MARKETING_EMAIL'), false
        ) as is_automated,
        is_deleted,
        hs_timestamp as occurred_at,
        updated_at,
        _loaded_at as loaded_at

    from raw_activities

),

final as (

    select
        activities.*,
        leads.lead_id

    from activities
    left join leads
        on activities.source = leads.source and activities.contact_id = leads.lead_id

)

select * from final
