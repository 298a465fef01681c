with

raw_leads as (

    select * from {{ raw_table('salesforce', 'leads') }}

),

raw_lead_history as (

    select * from {{ raw_table('salesforce', 'lead_history') }}

),

-- When a lead first got to a status that says what it is, however the organisation words it.
reached as (

    select
        source,
        lead_id,
        min(created_date) filter (
            where field = 'Status' and regexp_matches(new_value, '\bMQL\b|marketing.qualified', 'i')
        ) as mql_at,
        min(created_date) filter (
            where field = 'Status' and regexp_matches(new_value, '\bSQL\b|sales.qualified', 'i')
        ) as sql_at,
        min(created_date) filter (where field = 'leadConverted') as converted_at

    from raw_lead_history
    group by all

),

final as (

    select
        raw_leads.source,
        raw_leads.id as lead_id,
        -- A queue is nobody.
        case when coalesce(raw_leads.owner_type, 'User') = 'User' then raw_leads.owner_id end as owner_id,
        raw_leads.email_campaign_id_c as campaign_id,
        raw_leads.converted_account_id,
        raw_leads.converted_contact_id,
        raw_leads.converted_opportunity_id,
        raw_leads.master_record_id as merged_into_id,
        lower(trim(raw_leads.email)) as email,
        raw_leads.first_name,
        raw_leads.last_name,
        raw_leads.company as company_name,
        raw_leads.status,
        raw_leads.lead_source,
        raw_leads.is_deleted,
        raw_leads.created_date as created_at,
        coalesce(raw_leads.mql_date_c, reached.mql_at) as mql_at,
        coalesce(raw_leads.sql_date_c, reached.sql_at) as sql_at,
        coalesce(
            raw_leads.first_response_date_c,
            least(raw_leads.first_call_date_time, raw_leads.first_email_date_time)
        ) as first_response_at,
        case
            when raw_leads.is_converted
                then coalesce(
                    reached.converted_at,
                    timezone('UTC', cast(raw_leads.converted_date as timestamp))
                )
        end as converted_at,
        raw_leads.system_modstamp as updated_at,
        raw_leads._loaded_at as loaded_at

    from raw_leads
    left join reached
        on raw_leads.source = reached.source and raw_leads.id = reached.lead_id

)

select * from final
