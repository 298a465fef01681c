with

features as (

    select * from {{ ref('identity__people_features') }}

),

groups as (

    select * from {{ ref('identity__people_groups') }}

),

links as (

    select * from {{ ref('identity__people_links') }}

),

overrides as (

    select * from {{ ref('identity__overrides') }}

),

apart as (

    {{ kept_apart('overrides') }}

),

keys as (

    {{ listed_links('links') }}

),

facts as (

    select
        groups.label,
        groups.record,
        features.first_name,
        features.last_name,
        features.works_at,
        concat_ws(' ', features.first_name, features.last_name) as name,
        apart.others as apart,
        keys.links

    from groups
    inner join features
        on groups.record = features.record
    inner join keys
        on groups.record = keys.record
    left join apart
        on groups.record = apart.record

),

final as (

    select * from facts
    qualify
        count(distinct name) over (partition by label) > 1
        or count(distinct works_at) over (partition by label) > 1
        or count(apart) over (partition by label) > 0

)

select * from final
