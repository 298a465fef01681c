{{ config(materialized='ephemeral') }}
with

opportunities as (

    select
        *,
        outcome in ('won', 'lost') and coalesce(closed_at < {{ as_of() }}, true) as is_closed,
        coalesce(created_at < {{ as_of() }}, true) as is_known

    from {{ ref('core__opportunities') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

renewals as (

    select * from {{ ref('core__renewals') }}

),

email_events as (

    select * from {{ ref('email__events') }}
    where not coalesce(is_deleted, false) and occurred_at < {{ as_of() }}

),

funnel_events as (

    select * from {{ ref('core__funnel_events') }}

),

final as (

    select
        'won revenue' as fact,
        sum(amount) filter (where is_closed and outcome = 'won' and closed_at is not null) as total
    from opportunities
    union all
    select 'won revenue of known accounts', sum(amount) filter (where outcome = 'won' and account is not null)
    from opportunities
    union all
    select 'closed opportunities', count(*) filter (where is_closed and closed_at is not null)
    from opportunities
    union all
    select 'known opportunities', count(*) filter (where is_known)
    from opportunities
    union all
    select 'open opportunities', count(*) filter (where is_known and (outcome = 'open' or not is_closed))
    from opportunities
    union all
    select 'MRR of all months', sum(closing)
    from movements
    union all
    select 'MRR', sum(closing) filter (where month = date_trunc('month', {{ last_day() }}))
    from movements
    union all
    select 'contracts due', sum(amount_due)
    from renewals
    union all
    select
        'messages',
        count(distinct row(source, campaign_id, recipient_id, message_id)) filter (
            where event_type in ('sent', 'delivered', 'bounce')
        )
    from email_events
    union all
    select
        'steps of journeys',
        count(distinct row(journey_id, step)) filter (where list_contains({{ funnel_stages() }}, step))
    from funnel_events

)

select * from final
