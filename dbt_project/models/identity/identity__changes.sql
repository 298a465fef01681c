with

account_ids as (

    select * from {{ ref('identity__account_ids') }}

),

people_ids as (

    select * from {{ ref('identity__people_ids') }}

),

assigned as (

    select 'account' as entity, * from account_ids
    union all
    select 'person' as entity, * from people_ids

),

-- Most records have never moved.
moved as (

    select
        entity,
        record

    from assigned
    group by entity, record
    having count(*) > 1

),

moved_ids as (

    select distinct
        assigned.entity,
        assigned.known_as

    from assigned
    semi join moved
        on assigned.entity = moved.entity and assigned.record = moved.record

),

concerned as (

    select assigned.* from assigned
    semi join moved_ids
        on assigned.entity = moved_ids.entity and assigned.known_as = moved_ids.known_as

),

moves as (

    select
        *,
        lag(known_as) over records as from_id,
        lag(method || coalesce(': ' || evidence, '')) over records as earlier_reason,
        coalesce(lead(run) over records, 1 + max(run) over ()) as until_run

    from concerned
    window records as (partition by entity, record order by run)

),

-- The last run in which an id lost a record, and whether it had any left.
final as (

    select
        moves.entity,
        moves.since as changed_at,
        case when count(staying.record) = 0 then 'merge' else 'split' end as kind,
        moves.from_id,
        moves.known_as as to_id,
        count(distinct moves.record) as records,
        case
            when count(staying.record) = 0 then min(moves.method || coalesce(': ' || moves.evidence, ''))
            else 'no longer ' || min(moves.earlier_reason)
        end as reason,
        moves.run

    from moves
    left join moves as staying
        on
            moves.entity = staying.entity
            and moves.from_id = staying.known_as
            and moves.run >= staying.run
            and moves.run < staying.until_run
    where moves.from_id is not null
    group by moves.entity, moves.since, moves.from_id, moves.known_as, moves.run

)

select * from final
