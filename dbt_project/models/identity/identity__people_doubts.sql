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

at_an_address as (

    select distinct record from links
    where method = 'email'

),

facts as (

    select
        groups.label,
        groups.record,
        features.first_name,
        features.last_name,
        features.works_at,
        concat_ws(' ', features.first_name, features.last_name) as name,
        apart.others as apart

    from groups
    inner join features
        on groups.record = features.record
    left join apart
        on groups.record = apart.record

),

-- What cannot clash, whatever the links, stays together unasked.
doubtful as (

    select facts.label
    from facts
    left join at_an_address
        on facts.record = at_an_address.record
    group by facts.label
    having
        (count(distinct facts.name) > 1 and count(at_an_address.record) > 0)
        -- One person may work for fewer: MOST_COMPANIES_OF_A_PERSON of identity.cuts.
        or count(distinct facts.works_at) > 3
        or count(facts.apart) > 0

),

doubts as (

    select facts.* from facts
    semi join doubtful
        on facts.label = doubtful.label

),

keys as (

    {{ listed_links('links', 'doubts') }}

),

final as (

    select
        doubts.*,
        keys.links

    from doubts
    inner join keys
        on doubts.record = keys.record

)

select * from final
