-- Chargebee tells only the pause that is on. Earlier ones are stretches without a bill between two with one.
with

terms as (

    select * from {{ ref('stg_chargebee__billed_terms') }}

),

raw_subscriptions as (

    select * from {{ raw_table('chargebee', 'subscriptions') }}

),

steps as (

    select
        source,
        subscription_id,
        date_from as from_at,
        quantity,
        loaded_at

    from terms

    union all

    select
        source,
        subscription_id,
        date_to,
        -quantity,
        loaded_at

    from terms

),

changes as (

    select
        source,
        subscription_id,
        from_at,
        sum(quantity) as change,
        max(loaded_at) as loaded_at

    from steps
    group by all

),

levels as (

    select
        source,
        subscription_id,
        from_at,
        loaded_at,
        lead(from_at) over subscription_history as until_at,
        sum(change) over (subscription_history rows unbounded preceding) as quantity

    from changes
    window subscription_history as (partition by source, subscription_id order by from_at)

),

unbilled as (

    select
        levels.source,
        levels.subscription_id,
        levels.from_at as paused_at,
        -- Who stays cancelled in a pause leaves no bill behind it.
        coalesce(
            levels.until_at,
            case when raw_subscriptions.status = 'cancelled' then raw_subscriptions.cancelled_at end
        ) as resumed_at,
        levels.loaded_at

    from levels
    inner join raw_subscriptions
        on levels.subscription_id = raw_subscriptions.id and levels.source = raw_subscriptions.source
    where levels.quantity <= 0

),

present as (

    select
        source,
        id as subscription_id,
        coalesce(pause_date, current_term_end) as paused_at,
        resume_date as resumed_at,
        _loaded_at as loaded_at

    from raw_subscriptions
    where status = 'paused'

),

-- A renewal or the end comes minutes after the term's end; that is no pause.
pauses as (

    select * from unbilled
    where resumed_at > paused_at + interval 1 day
    union all by name
    select * from present

),

final as (

    select
        source,
        subscription_id,
        paused_at,
        max_by(resumed_at, coalesce(resumed_at, 'infinity')) as resumed_at,
        max(loaded_at) as loaded_at

    from pauses
    where paused_at is not null
    group by all

)

select * from final
