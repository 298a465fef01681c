-- A buying cycle ends when the account's last revenue is lost, or when the last open opportunity of somebody
-- who buys nothing is. What begins anew after that is another cycle, to which all belongs that came since.
with

records as (

    select * from {{ ref('core__funnel_records') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}
    where mrr > 0

),

churned as (

    select
        prospect,
        occurred_at as ended_at

    from records
    where step = 'churned'

),

pursued as (

    select distinct
        records.prospect,
        records.account,
        opportunities.source,
        opportunities.opportunity_id,
        opportunities.outcome,
        opportunities.opportunity_type,
        opportunities.created_at,
        case when opportunities.closed_at < {{ as_of() }} then opportunities.closed_at end as closed_at

    from records
    inner join opportunities
        on records.source = opportunities.source and records.record_id = opportunities.opportunity_id
    where records.step = 'opportunity'

),

won as (

    select
        prospect,
        closed_at as won_at

    from pursued
    where outcome = 'won' and closed_at is not null

),

lost as (

    select
        prospect,
        account,
        closed_at as ended_at

    from pursued
    where
        outcome = 'lost'
        and closed_at is not null
        and coalesce(opportunity_type, 'new_business') = 'new_business'

),

others_open as (

    select distinct
        lost.prospect,
        lost.ended_at

    from lost
    inner join pursued
        on
            lost.prospect = pursued.prospect
            and lost.ended_at >= pursued.created_at
            and coalesce(lost.ended_at < pursued.closed_at, true)

),

-- Who has won revenue, or is about to bring some, is not lost with a further opportunity.
customers as (

    select
        lost.prospect,
        lost.ended_at

    from lost
    inner join spans
        on
            lost.account = spans.account
            and lost.ended_at > spans.from_at
            and coalesce(lost.ended_at <= spans.until_at, true)

    union

    select
        lost.prospect,
        lost.ended_at

    from lost
    asof inner join won
        on lost.prospect = won.prospect and lost.ended_at >= won.won_at
    asof left join churned
        on lost.prospect = churned.prospect and lost.ended_at >= churned.ended_at
    where coalesce(churned.ended_at < won.won_at, true)

),

ends as (

    select * from churned
    union
    (
        select prospect, ended_at from lost
        except
        select * from others_open
        except
        select * from customers
    )

),

beginnings as (

    select distinct
        records.prospect,
        ends.ended_at as began_after

    from records
    asof inner join ends
        on records.prospect = ends.prospect and records.occurred_at > ends.ended_at
    where records.is_beginning

),

cycles as (

    select distinct
        prospect,
        cast(null as timestamptz) as began_after

    from records
    union all
    select * from beginnings

),

final as (

    select
        prospect,
        began_after,
        lead(began_after) over by_prospect as ended_at,
        cast(row_number() over by_prospect as integer) as cycle,
        prospect || case when cycle > 1 then '#' || cycle else '' end as journey_id

    from cycles
    window by_prospect as (partition by prospect order by began_after nulls first)

)

select * from final
