with

accounts as (

    select
        silo || ':' || source || ':' || record_id as record,
        account as known_as,
        method

    from {{ ref('identity__records') }}

),

people as (

    select
        kind || ':' || source || ':' || record_id as record,
        person as known_as,
        method

    from {{ ref('identity__people_records') }}

),

resolved as (

    select *, 'account' as kind from accounts
    union all
    select *, 'person' as kind from people

),

account_scores as (

    select * from {{ ref('identity__account_scores') }}

),

people_scores as (

    select * from {{ ref('identity__people_scores') }}

),

account_links as (

    select * from {{ ref('identity__links') }}

),

people_links as (

    select * from {{ ref('identity__people_links') }}

),

account_cuts as (

    select * from {{ ref('identity__cuts') }}

),

people_cuts as (

    select * from {{ ref('identity__people_cuts') }}

),

overrides as (

    select * from {{ ref('identity__overrides') }}

),

likely as (

    select left_record, right_record, 'likeness' as method, score, evidence, cast(null as varchar) as why
    from ({{ scored_pairs('account_scores') }})
    union all
    select left_record, right_record, 'likeness', score, evidence, null
    from ({{ scored_pairs('people_scores') }})

),

cut as (

    select
        least(account_cuts.record, account_cuts.against) as left_record,
        greatest(account_cuts.record, account_cuts.against) as right_record,
        account_links.method,
        account_links.score,
        account_links.evidence,
        account_cuts.why

    from account_cuts
    inner join account_links
        on account_cuts.record = account_links.record and account_cuts.match_key = account_links.match_key

    union all

    select
        least(people_cuts.record, people_cuts.against),
        greatest(people_cuts.record, people_cuts.against),
        people_links.method,
        people_links.score,
        people_links.evidence,
        people_cuts.why

    from people_cuts
    inner join people_links
        on people_cuts.record = people_links.record and people_cuts.match_key = people_links.match_key

),

decided as (

    select
        least(left_record, right_record) as left_record,
        greatest(left_record, right_record) as right_record

    from overrides
    where action = 'apart'

),

-- The firmest reason of each pair, a cut before a likeness: it says why.
found as (

    select *
    from (
        select * from cut
        union all
        select * from likely
    ) as found
    qualify row_number() over (
        partition by left_record, right_record order by why is null asc, score desc, evidence asc
    ) = 1

),

final as (

    select
        one.kind,
        found.left_record,
        one.known_as as left_known_as,
        found.right_record,
        other.known_as as right_known_as,
        found.method,
        found.score,
        found.evidence,
        found.why

    from found
    inner join resolved as one
        on found.left_record = one.record
    inner join resolved as other
        on found.right_record = other.record
    anti join decided
        on found.left_record = decided.left_record and found.right_record = decided.right_record
    where
        one.known_as <> other.known_as
        -- Companies of which something firmer is known only look alike.
        and (
            found.method <> 'likeness'
            or 'none' in (one.method, other.method)
            or (one.kind = 'person' and found.why is not null)
        )

)

select * from final
