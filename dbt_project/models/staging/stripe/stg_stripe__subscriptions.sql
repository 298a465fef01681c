with

raw_subscriptions as (

    select * from {{ raw_table('stripe', 'subscriptions') }}

),

final as (

    select
        source,
        id as subscription_id,
        customer_id,
        status,
        upper(currency) as currency,
        cancellation_reason,
        not coalesce(cancel_at_period_end, false) and cancel_at is null and ended_at is null as auto_renew,
        coalesce(is_deleted, false) as is_deleted,
        created as created_at,
        start_date as started_at,
        trial_start,
        trial_end,
        current_period_start,
        current_period_end,
        cancel_at,
        canceled_at,
        ended_at,
        _loaded_at as loaded_at

    from raw_subscriptions

)

select * from final
