with

raw_lines as (

    select * from {{ raw_table('chargebee', 'invoice_lines') }}

),

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

prices as (

    select * from {{ ref('stg_chargebee__prices') }}

),

priced as (

    select
        raw_lines.*,
        raw_invoices.currency_code,
        prices.price_id,
        prices.is_recurring,
        {{ chargebee_term_end('raw_lines.date_from', 'prices.interval', 'prices.interval_count') }}
            as term_end

    from raw_lines
    inner join raw_invoices
        on raw_lines.invoice_id = raw_invoices.id and raw_lines.source = raw_invoices.source
    left join prices
        on raw_lines.entity_id = prices.price_id and raw_lines.source = prices.source

),

final as (

    select
        source,
        id as invoice_line_id,
        invoice_id,
        subscription_id,
        price_id,
        description,
        cast(
            coalesce(try_cast(quantity_in_decimal as decimal(18, 4)), quantity) as decimal(18, 4)
        ) as quantity,
        {{ chargebee_money('amount', 'currency_code') }} as amount,
        {{ chargebee_money('discount_amount', 'currency_code') }} as discount_amount,
        upper(currency_code) as currency,
        -- Nothing marks a part of a term but its length.
        coalesce(is_recurring and date_to < term_end, false) as is_proration,
        coalesce(is_recurring, false) as is_recurring,
        coalesce(is_deleted, false) as is_deleted,
        date_from as period_start,
        date_to as period_end,
        _loaded_at as loaded_at

    from priced

)

select * from final
