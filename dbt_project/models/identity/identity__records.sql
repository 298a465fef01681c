with

features as (

    select * from {{ ref('identity__account_features') }}

),

account_ids as (

    select * from {{ ref('identity__account_ids') }}

),

links as (

    select * from {{ ref('identity__links') }}

),

cuts as (

    select * from {{ ref('identity__cuts') }}

),

present as (

    select
        record,
        arg_max(known_as, run) as account

    from account_ids
    group by record

),

reasons as (

    {{ firmest_links('links', 'cuts') }}

),

final as (

    select
        features.silo,
        features.source,
        features.record_id,
        present.account,
        coalesce(reasons.reason.method, 'none') as method,
        reasons.reason.evidence,
        reasons.reason.score,
        features.created_at

    from features
    inner join present
        on features.record = present.record
    left join reasons
        on features.record = reasons.record

)

select * from final
