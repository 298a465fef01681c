with

changes as (

    select * from {{ ref('stg_stripe__item_changes') }}

),

prices as (

    select * from {{ ref('stg_stripe__prices') }}

),

raw_subscriptions as (

    select * from {{ raw_table('stripe', 'subscriptions') }}

),

present_items as (

    select
        source,
        id as subscription_id,
        start_date,
        _loaded_at as loaded_at,
        unnest(from_json(items, '[{"id": "VARCHAR", "price_id": "VARCHAR", "quantity": "BIGINT"}]')) as item

    from raw_subscriptions

),

compared as (

    select
        *,
        lag(price_id) over item_history as previous_price_id,
        lag(quantity) over item_history as previous_quantity,
        lag(is_end) over item_history as follows_end

    from changes
    window item_history as (partition by source, subscription_item_id order by changed_at)

),

-- Renewals of an unchanged item say nothing new.
steps as (

    select * from compared
    where
        follows_end is null
        or follows_end is distinct from is_end
        or (
            not is_end
            and (price_id is distinct from previous_price_id or quantity is distinct from previous_quantity)
        )

),

bounded as (

    select
        *,
        lead(changed_at) over (
            partition by source, subscription_item_id
            order by changed_at
        ) as next_change_at

    from steps

),

-- Where the last bill of each item ends.
billed_until as (

    select
        source,
        subscription_item_id,
        max(period_end) as last_period_end

    from changes
    where not is_end
    group by all

),

from_lines as (

    select
        bounded.source,
        bounded.subscription_item_id,
        bounded.subscription_id,
        bounded.price_id,
        bounded.quantity,
        'invoice_lines' as history_method,
        bounded.changed_at as valid_from,
        -- An item dropped without a credit was paid to the end of its last bill.
        coalesce(
            bounded.next_change_at, case when present_items.item is null then billed_until.last_period_end end
        ) as valid_to,
        bounded.loaded_at

    from bounded
    inner join billed_until
        on
            bounded.subscription_item_id = billed_until.subscription_item_id
            and bounded.source = billed_until.source
    left join present_items
        on
            bounded.subscription_item_id = present_items.item.id
            and bounded.source = present_items.source
    where not bounded.is_end

),

never_billed as (

    select
        present_items.source,
        present_items.item.id as subscription_item_id,
        present_items.subscription_id,
        present_items.item.price_id,
        present_items.item.quantity,
        'current_state' as history_method,
        present_items.start_date as valid_from,
        cast(null as timestamptz) as valid_to,
        present_items.loaded_at

    from present_items
    anti join changes
        on
            present_items.item.id = changes.subscription_item_id
            and present_items.source = changes.source

),

versions as (

    select * from from_lines
    union all by name
    select * from never_billed

),

final as (

    select
        versions.source,
        versions.subscription_item_id,
        versions.subscription_id,
        versions.price_id,
        versions.history_method,
        prices.interval,
        prices.interval_count,
        cast(versions.quantity as decimal(18, 4)) as quantity,
        prices.unit_amount,
        prices.currency,
        versions.valid_from,
        versions.valid_to,
        versions.loaded_at

    from versions
    left join prices
        on versions.price_id = prices.price_id and versions.source = prices.source

)

select * from final
