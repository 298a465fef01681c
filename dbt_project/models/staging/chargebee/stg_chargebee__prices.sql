with

raw_item_prices as (

    select * from {{ raw_table('chargebee', 'item_prices') }}

),

raw_items as (

    select * from {{ raw_table('chargebee', 'items') }}

),

final as (

    select
        raw_item_prices.source,
        raw_item_prices.id as price_id,
        raw_item_prices.item_id as product_id,
        coalesce(raw_items.external_name, raw_items.name) as product_name,
        -- A price's own name is internal: it must differ for every currency and period.
        coalesce(raw_item_prices.external_name, raw_items.external_name, raw_items.name) as plan_name,
        raw_item_prices.item_type,
        raw_item_prices.period_unit as interval,
        raw_item_prices.period as interval_count,
        case when raw_items.metered then 'metered' else 'licensed' end as usage_type,
        case
            when raw_item_prices.pricing_model in ('per_unit', 'flat_fee')
                then coalesce(
                    cast(raw_item_prices.price_in_decimal as decimal(18, 4)),
                    {{ chargebee_money('raw_item_prices.price', 'raw_item_prices.currency_code') }}
                )
        end as unit_amount,
        upper(raw_item_prices.currency_code) as currency,
        raw_item_prices.period_unit is not null
        and coalesce(raw_item_prices.item_type <> 'charge', true) as is_recurring,
        coalesce(raw_item_prices.is_deleted, false) as is_deleted,
        raw_item_prices.updated_at,
        raw_item_prices._loaded_at as loaded_at

    from raw_item_prices
    left join raw_items
        on raw_item_prices.item_id = raw_items.id and raw_item_prices.source = raw_items.source

)

select * from final
