with

raw_discounts as (

    select * from {{ raw_table('stripe', 'discounts') }}

),

raw_subscriptions as (

    select * from {{ raw_table('stripe', 'subscriptions') }}

),

raw_lines as (

    select * from {{ raw_table('stripe', 'invoice_lines') }}

),

line_discounts as (

    select
        source,
        period_end,
        unnest(from_json(discount_ids, '["VARCHAR"]')) as discount_id

    from raw_lines

),

last_used as (

    select
        source,
        discount_id,
        max(period_end) as used_until

    from line_discounts
    group by all

),

in_force as (

    select
        source,
        unnest(from_json(discount_ids, '["VARCHAR"]')) as discount_id

    from raw_subscriptions

),

final as (

    select
        raw_discounts.source,
        raw_discounts.id as discount_id,
        raw_discounts.customer_id,
        raw_discounts.subscription_id,
        raw_discounts.coupon_id,
        raw_discounts.duration,
        cast(raw_discounts.percent_off as decimal(9, 4)) as percent_off,
        {{ stripe_money('raw_discounts.amount_off', 'raw_discounts.currency') }} as amount_off,
        upper(raw_discounts.currency) as currency,
        coalesce(raw_discounts.is_deleted, false) as is_deleted,
        raw_discounts.start as starts_at,
        -- A discount taken off before the first load left no end; the last bill it was on tells it.
        coalesce(
            raw_discounts."end",
            case
                when raw_discounts.subscription_id is not null and in_force.discount_id is null
                    then last_used.used_until
            end
        ) as ends_at,
        raw_discounts._loaded_at as loaded_at

    from raw_discounts
    left join in_force
        on raw_discounts.id = in_force.discount_id and raw_discounts.source = in_force.source
    left join last_used
        on raw_discounts.id = last_used.discount_id and raw_discounts.source = last_used.source

)

select * from final
