with

features as (

    select * from {{ ref('identity__people_features') }}

),

leads as (

    select * from {{ ref('crm__leads') }}

),

contacts as (

    select * from {{ ref('crm__contacts') }}

),

scores as (

    select * from {{ ref('identity__people_scores') }}

),

overrides as (

    select * from {{ ref('identity__overrides') }}

),

decided as (

    select
        overrides.left_record,
        overrides.right_record,
        'override:' || overrides.left_record || '|' || overrides.right_record as match_key,
        concat_ws(': ', overrides.who, overrides.why) as evidence

    from overrides
    semi join features as one
        on overrides.left_record = one.record
    semi join features as other
        on overrides.right_record = other.record
    where overrides.action = 'link'

),

conversions as (

    select
        'lead:' || source || ':' || lead_id as lead_record,
        'contact:' || source || ':' || converted_contact_id as contact_record,
        converted_contact_id as evidence

    from leads
    where converted_contact_id is not null

),

mergers as (

    select
        'contact:' || source || ':' || contact_id as merged_record,
        'contact:' || source || ':' || merged_into_id as record,
        merged_into_id as evidence

    from contacts
    where merged_into_id is not null

    union all

    select
        'lead:' || source || ':' || lead_id,
        'lead:' || source || ':' || merged_into_id,
        merged_into_id

    from leads
    where merged_into_id is not null

),

-- The address itself is nobody's business: its senior record stands for it.
addresses as (

    select
        email_key,
        arg_min(record, (seniority, record)) as first_record

    from features
    where email_key is not null
    group by email_key
    having count(*) > 1

),

likely as (

    select * from ({{ scored_pairs('scores') }})
    where is_linked

),

links as (

    select
        unnest([left_record, right_record]) as record,
        match_key,
        'override' as method,
        evidence,
        1.0 as score

    from decided

    union all

    select
        unnest([lead_record, contact_record]),
        'conversion:' || contact_record,
        'conversion',
        'lead converted into ' || evidence,
        1.0

    from conversions

    union all

    select
        unnest([merged_record, record]),
        'merged:' || record,
        'merged',
        'into ' || evidence,
        1.0

    from mergers

    union all

    select
        features.record,
        'email:' || addresses.first_record,
        'email',
        'address of ' || addresses.first_record,
        0.99

    from features
    inner join addresses
        on features.email_key = addresses.email_key

    union all

    select
        unnest([left_record, right_record]),
        'pair:' || left_record || '|' || right_record,
        'likeness',
        evidence,
        score

    from likely

),

final as (

    select distinct
        links.record,
        links.match_key,
        links.method,
        links.evidence,
        cast(links.score as double) as score

    from links
    semi join features
        on links.record = features.record
    -- A key that only one record has links nothing.
    qualify
        min(links.record) over (partition by links.match_key)
        <> max(links.record) over (partition by links.match_key)

)

select * from final
