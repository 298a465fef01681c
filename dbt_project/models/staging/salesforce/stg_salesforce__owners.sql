with

raw_users as (

    select * from {{ raw_table('salesforce', 'users') }}

),

final as (

    select
        source,
        id as owner_id,
        manager_id,
        name,
        lower(email) as email,
        department as team,
        division as region,
        coalesce(user_role_name, title) as role,
        is_active and not is_deleted as is_active,
        is_deleted,
        system_modstamp as updated_at,
        _loaded_at as loaded_at

    from raw_users

)

select * from final
