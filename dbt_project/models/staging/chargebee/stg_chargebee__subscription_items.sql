with

terms as (

    select * from {{ ref('stg_chargebee__billed_terms') }}

),

prices as (

    select * from {{ ref('stg_chargebee__prices') }}

),

raw_subscriptions as (

    select * from {{ raw_table('chargebee', 'subscriptions') }}

),

listed_items as (

    select
        source,
        id as subscription_id,
        currency_code,
        coalesce(started_at, start_date, created_at) as started_at,
        _loaded_at as loaded_at,
        unnest(
            from_json(
                subscription_items,
                '[{
                    "item_price_id": "VARCHAR", "item_type": "VARCHAR", "quantity": "BIGINT",
                    "quantity_in_decimal": "VARCHAR", "unit_price": "BIGINT", "unit_price_in_decimal": "VARCHAR"
                }]'
            )
        ) as item

    from raw_subscriptions

),

present_items as (

    select
        listed_items.source,
        listed_items.subscription_id,
        prices.price_id,
        coalesce(
            try_cast(listed_items.item.quantity_in_decimal as decimal(18, 4)), listed_items.item.quantity, 1
        ) as quantity,
        case
            when prices.unit_amount is not null
                then coalesce(
                    try_cast(listed_items.item.unit_price_in_decimal as decimal(18, 4)),
                    {{ chargebee_money('listed_items.item.unit_price', 'listed_items.currency_code') }}
                )
        end as unit_amount,
        listed_items.started_at,
        listed_items.loaded_at

    from listed_items
    inner join prices
        on listed_items.item.item_price_id = prices.price_id and listed_items.source = prices.source
    where prices.is_recurring

),

steps as (

    select
        source,
        subscription_id,
        price_id,
        date_from as from_at,
        quantity,
        loaded_at

    from terms

    union all

    select
        source,
        subscription_id,
        price_id,
        date_to,
        -quantity,
        loaded_at

    from terms

),

changes as (

    select
        source,
        subscription_id,
        price_id,
        from_at,
        sum(quantity) as change,
        max(loaded_at) as loaded_at

    from steps
    group by all

),

full_prices as (

    select
        source,
        subscription_id,
        price_id,
        date_from as from_at,
        arg_max(unit_amount, billed_at) as unit_amount

    from terms
    where unit_amount is not null
    group by all

),

levels as (

    select
        changes.source,
        changes.subscription_id,
        changes.price_id,
        changes.from_at,
        changes.loaded_at,
        full_prices.unit_amount,
        lead(changes.from_at) over item_history as until_at,
        sum(changes.change) over (item_history rows unbounded preceding) as quantity

    from changes
    left join full_prices
        on
            changes.source = full_prices.source
            and changes.subscription_id = full_prices.subscription_id
            and changes.price_id = full_prices.price_id
            and changes.from_at = full_prices.from_at
    window item_history as (
        partition by changes.source, changes.subscription_id, changes.price_id
        order by changes.from_at
    )

),

-- The price of a part of a term is that of the next whole one, or of the present, or of the one before.
priced as (

    select
        levels.source,
        levels.subscription_id,
        levels.price_id,
        levels.from_at,
        levels.until_at,
        levels.quantity,
        levels.loaded_at,
        present_items.price_id is not null as is_present,
        coalesce(
            first_value(levels.unit_amount ignore nulls) over (
                item_history rows between current row and unbounded following
            ),
            present_items.unit_amount,
            last_value(levels.unit_amount ignore nulls) over (
                item_history rows between unbounded preceding and current row
            ),
            prices.unit_amount
        ) as unit_amount

    from levels
    inner join prices
        on levels.price_id = prices.price_id and levels.source = prices.source
    left join present_items
        on
            levels.source = present_items.source
            and levels.subscription_id = present_items.subscription_id
            and levels.price_id = present_items.price_id
    where levels.quantity > 0
    window item_history as (
        partition by levels.source, levels.subscription_id, levels.price_id
        order by levels.from_at
    )

),

-- Renewals of an unchanged item say nothing new.
compared as (

    select
        *,
        lag(until_at) over item_history as previous_until_at,
        lag(quantity) over item_history as previous_quantity,
        lag(unit_amount) over item_history as previous_unit_amount

    from priced
    window item_history as (partition by source, subscription_id, price_id order by from_at)

),

numbered as (

    select
        *,
        count_if(
            previous_until_at is distinct from from_at
            or previous_quantity is distinct from quantity
            or previous_unit_amount is distinct from unit_amount
        ) over (
            partition by source, subscription_id, price_id
            order by from_at
        ) as version

    from compared

),

billed as (

    select
        source,
        subscription_id,
        price_id,
        version,
        quantity,
        unit_amount,
        min(from_at) as valid_from,
        max(until_at) as billed_until,
        bool_or(is_present) as is_present,
        max(loaded_at) as loaded_at

    from numbered
    group by all

),

from_lines as (

    select
        source,
        subscription_id,
        price_id,
        quantity,
        unit_amount,
        'invoice_lines' as history_method,
        valid_from,
        -- What is still there goes on after its last bill; what was dropped was paid to the end of it.
        case
            when is_present and version = max(version) over (partition by source, subscription_id, price_id)
                then cast(null as timestamptz)
            else billed_until
        end as valid_to,
        loaded_at

    from billed

),

last_bills as (

    select
        source,
        subscription_id,
        max(date_from) as billed_from

    from terms
    where not is_credit
    group by all

),

-- Not on the subscription's last bill, so added since.
never_billed as (

    select
        present_items.source,
        present_items.subscription_id,
        present_items.price_id,
        present_items.quantity,
        present_items.unit_amount,
        'current_state' as history_method,
        coalesce(last_bills.billed_from, present_items.started_at) as valid_from,
        cast(null as timestamptz) as valid_to,
        present_items.loaded_at

    from present_items
    anti join billed
        on
            present_items.source = billed.source
            and present_items.subscription_id = billed.subscription_id
            and present_items.price_id = billed.price_id
    left join last_bills
        on
            present_items.source = last_bills.source
            and present_items.subscription_id = last_bills.subscription_id

),

versions as (

    select * from from_lines
    union all by name
    select * from never_billed

),

-- A subscription has a price at most once, so the two name an item.
final as (

    select
        versions.source,
        versions.subscription_id || ':' || versions.price_id as subscription_item_id,
        versions.subscription_id,
        versions.price_id,
        versions.history_method,
        prices.interval,
        prices.interval_count,
        cast(versions.quantity as decimal(18, 4)) as quantity,
        coalesce(versions.unit_amount, prices.unit_amount) as unit_amount,
        prices.currency,
        versions.valid_from,
        versions.valid_to,
        versions.loaded_at

    from versions
    inner join prices
        on versions.price_id = prices.price_id and versions.source = prices.source

)

select * from final
