with

raw_owners as (

    select * from {{ raw_table('hubspot', 'owners') }}

),

memberships as (

    select
        source,
        id as owner_id,
        unnest(from_json(teams, '[{"name": "VARCHAR", "primary": "BOOLEAN"}]')) as membership

    from raw_owners

),

named as (

    select
        source,
        owner_id,
        membership['name'] as team_name,
        membership['primary'] as is_primary

    from memberships

),

teams as (

    select
        source,
        owner_id,
        max(team_name) filter (where is_primary) as team,
        max(split_part(team_name, 'Region: ', 2)) filter (where team_name like 'Region: %') as region,
        max(split_part(team_name, 'Role: ', 2)) filter (where team_name like 'Role: %') as role

    from named
    group by all

),

final as (

    select
        raw_owners.source,
        raw_owners.id as owner_id,
        nullif(concat_ws(' ', raw_owners.first_name, raw_owners.last_name), '') as name,
        lower(raw_owners.email) as email,
        teams.team,
        teams.region,
        teams.role,
        not raw_owners.is_archived and not raw_owners.is_deleted as is_active,
        raw_owners.is_deleted,
        raw_owners.updated_at,
        raw_owners._loaded_at as loaded_at

    from raw_owners
    left join teams
        on raw_owners.source = teams.source and raw_owners.id = teams.owner_id

)

select * from final
