with

raw_contacts as (

    select * from {{ raw_table('salesforce', 'contacts') }}

),

final as (

    select
        source,
        id as contact_id,
        account_id,
        owner_id,
        master_record_id as merged_into_id,
        lower(trim(email)) as email,
        first_name,
        last_name,
        title as job_title,
        lifecycle_stage_c as lifecycle_stage,
        coalesce(has_opted_out_of_email, false) as email_opt_out,
        is_deleted,
        created_date as created_at,
        system_modstamp as updated_at,
        _loaded_at as loaded_at

    from raw_contacts

)

select * from final
