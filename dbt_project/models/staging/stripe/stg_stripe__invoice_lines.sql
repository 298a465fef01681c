with

raw_lines as (

    select * from {{ raw_table('stripe', 'invoice_lines') }}

),

prices as (

    select * from {{ ref('stg_stripe__prices') }}

),

final as (

    select
        raw_lines.source,
        raw_lines.id as invoice_line_id,
        raw_lines.invoice_id,
        raw_lines.subscription_id,
        raw_lines.subscription_item_id,
        raw_lines.price_id,
        raw_lines.description,
        cast(raw_lines.quantity as decimal(18, 4)) as quantity,
        {{ stripe_money('raw_lines.amount', 'raw_lines.currency') }} as amount,
        {{ stripe_money('raw_lines.discount_amount', 'raw_lines.currency') }} as discount_amount,
        upper(raw_lines.currency) as currency,
        raw_lines.is_proration,
        prices.is_recurring,
        coalesce(raw_lines.is_deleted, false) as is_deleted,
        raw_lines.period_start,
        raw_lines.period_end,
        raw_lines._loaded_at as loaded_at

    from raw_lines
    left join prices
        on raw_lines.price_id = prices.price_id and raw_lines.source = prices.source

)

select * from final
