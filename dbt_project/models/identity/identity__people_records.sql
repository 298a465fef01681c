with

features as (

    select * from {{ ref('identity__people_features') }}

),

people_ids as (

    select * from {{ ref('identity__people_ids') }}

),

links as (

    select * from {{ ref('identity__people_links') }}

),

cuts as (

    select * from {{ ref('identity__people_cuts') }}

),

present as (

    select
        record,
        arg_max(known_as, run) as person

    from people_ids
    group by record

),

reasons as (

    {{ firmest_links('links', 'cuts') }}

),

final as (

    select
        features.kind,
        features.source,
        features.record_id,
        present.person,
        features.email,
        features.account,
        coalesce(reasons.reason.method, 'none') as method,
        reasons.reason.evidence,
        reasons.reason.score,
        features.trust,
        features.seniority,
        features.created_at

    from features
    inner join present
        on features.record = present.record
    left join reasons
        on features.record = reasons.record

)

select * from final
