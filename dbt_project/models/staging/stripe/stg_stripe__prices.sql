with

raw_prices as (

    select * from {{ raw_table('stripe', 'prices') }}

),

raw_products as (

    select * from {{ raw_table('stripe', 'products') }}

),

final as (

    select
        raw_prices.source,
        raw_prices.id as price_id,
        raw_prices.product_id,
        raw_products.name as product_name,
        coalesce(raw_prices.nickname, raw_products.name) as plan_name,
        raw_prices.interval,
        raw_prices.interval_count,
        raw_prices.usage_type,
        {{ stripe_money('raw_prices.unit_amount', 'raw_prices.currency') }} as unit_amount,
        upper(raw_prices.currency) as currency,
        raw_prices.type = 'recurring' as is_recurring,
        coalesce(raw_prices.is_deleted, false) as is_deleted,
        raw_prices._loaded_at as loaded_at

    from raw_prices
    left join raw_products
        on raw_prices.product_id = raw_products.id and raw_prices.source = raw_products.source

)

select * from final
