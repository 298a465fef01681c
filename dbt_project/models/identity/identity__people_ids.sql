{{ config(materialized = 'incremental', incremental_strategy = 'append') }}

with recursive  -- noqa: PRS

features as (

    select * from {{ ref('identity__people_features') }}

),

groups as (

    select * from {{ ref('identity__people_groups') }}

),

links as (

    select * from {{ ref('identity__people_links') }}

),

cuts as (

    select * from {{ ref('identity__people_cuts') }}

),

{{ kept_ids('features', 'groups', 'links', 'cuts') }},

-- What ties a record to the others of its person, the firmest first.
reasons as (

    {{ firmest_links('links', 'cuts') }}

),

final as (

    select
        present.record,
        present.known_as,
        coalesce((select max(history.run) from history), 0) + 1 as run,
        cast('{{ var("as_of") }}' as timestamptz) as since,
        coalesce(reasons.reason.method, 'none') as method,
        reasons.reason.evidence as evidence

    from present
    left join known
        on present.record = known.record
    left join reasons
        on present.record = reasons.record
    where known.known_as is distinct from present.known_as

)

select * from final
