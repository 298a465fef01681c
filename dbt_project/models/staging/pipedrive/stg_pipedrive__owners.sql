with

raw_users as (

    select * from {{ raw_table('pipedrive', 'users') }}

),

raw_roles as (

    select * from {{ raw_table('pipedrive', 'roles') }}

),

raw_teams as (

    select * from {{ raw_table('pipedrive', 'teams') }}

),

memberships as (

    select
        source,
        name,
        manager_id,
        unnest(from_json(users, '["VARCHAR"]')) as owner_id

    from raw_teams
    where not is_deleted and coalesce(active_flag, true)

),

teams as (

    select
        source,
        owner_id,
        min(name) filter (where name not like 'Region: %') as team,
        min(split_part(name, 'Region: ', 2)) filter (where name like 'Region: %') as region,
        arg_min(manager_id, name) filter (where name not like 'Region: %' and manager_id != owner_id)
            as manager_id

    from memberships
    group by all

),

final as (

    select
        raw_users.source,
        raw_users.id as owner_id,
        teams.manager_id,
        raw_users.name,
        lower(raw_users.email) as email,
        teams.team,
        teams.region,
        lower(raw_roles.name) as role,
        coalesce(raw_users.active_flag, true) and not raw_users.is_deleted as is_active,
        raw_users.is_deleted,
        raw_users.modified as updated_at,
        raw_users._loaded_at as loaded_at

    from raw_users
    left join raw_roles
        on raw_users.source = raw_roles.source and raw_users.role_id = raw_roles.id
    left join teams
        on raw_users.source = teams.source and raw_users.id = teams.owner_id

)

select * from final
