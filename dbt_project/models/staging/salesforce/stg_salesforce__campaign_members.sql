with

raw_members as (

    select * from {{ raw_table('salesforce', 'campaign_members') }}

),

raw_contacts as (

    select * from {{ raw_table('salesforce', 'contacts') }}

),

raw_leads as (

    select * from {{ raw_table('salesforce', 'leads') }}

),

final as (

    select
        raw_members.source,
        raw_members.campaign_id,
        raw_members.id as member_id,
        raw_members.lead_id,
        raw_members.contact_id,
        lower(trim(coalesce(raw_members.email, raw_contacts.email, raw_leads.email))) as email,
        raw_members.status,
        raw_members.is_deleted,
        timezone('UTC', cast(raw_members.first_responded_date as timestamp)) as first_responded_at,
        raw_members.system_modstamp as updated_at,
        raw_members._loaded_at as loaded_at

    from raw_members
    left join raw_contacts
        on raw_members.source = raw_contacts.source and raw_members.contact_id = raw_contacts.id
    left join raw_leads
        on raw_members.source = raw_leads.source and raw_members.lead_id = raw_leads.id

)

select * from final
