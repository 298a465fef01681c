with

raw_roles as (

    select * from {{ raw_table('salesforce', 'opportunity_contact_roles') }}

),

-- A contact may have several roles on one opportunity: the primary one counts, then the oldest.
final as (

    select
        source,
        opportunity_id,
        contact_id,
        arg_min(role, (is_deleted, not is_primary, created_date, id)) as role,
        arg_min(is_primary, (is_deleted, not is_primary, created_date, id)) as is_primary,
        bool_and(is_deleted) as is_deleted,
        max(system_modstamp) as updated_at,
        max(_loaded_at) as loaded_at

    from raw_roles
    group by all

)

select * from final
