with

raw_contacts as (

    select * from {{ raw_table('hubspot', 'contacts') }}

),

raw_contact_companies as (

    select * from {{ raw_table('hubspot', 'contact_companies') }}

),

companies as (

    select
        source,
        contact_id,
        arg_min(
            company_id,
            (not contains(cast(association_types as varchar), '"label":"Primary"'), company_id)
        ) as company_id

    from raw_contact_companies
    where not is_deleted
    group by all

),

mergers as (

    select
        source,
        merged_id,
        arg_min(id, (is_deleted, id)) as merged_into_id

    from (
        select
            source,
            id,
            is_deleted,
            unnest(string_split(hs_merged_object_ids, ';')) as merged_id

        from raw_contacts
    ) as winners
    group by source, merged_id

),

final as (

    select
        raw_contacts.source,
        raw_contacts.id as contact_id,
        coalesce(companies.company_id, raw_contacts.associatedcompanyid) as account_id,
        raw_contacts.hubspot_owner_id as owner_id,
        mergers.merged_into_id,
        lower(trim(raw_contacts.email)) as email,
        raw_contacts.firstname as first_name,
        raw_contacts.lastname as last_name,
        raw_contacts.jobtitle as job_title,
        raw_contacts.lifecyclestage as lifecycle_stage,
        coalesce(raw_contacts.hs_email_optout, false) as email_opt_out,
        raw_contacts.is_deleted,
        raw_contacts.createdate as created_at,
        raw_contacts.updated_at,
        raw_contacts._loaded_at as loaded_at

    from raw_contacts
    left join companies
        on raw_contacts.source = companies.source and raw_contacts.id = companies.contact_id
    left join mergers
        on raw_contacts.source = mergers.source and raw_contacts.id = mergers.merged_id

)

select * from final
