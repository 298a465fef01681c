with

raw_coupons as (

    select * from {{ raw_table('chargebee', 'coupons') }}

),

raw_subscriptions as (

    select * from {{ raw_table('chargebee', 'subscriptions') }}

),

raw_subscription_coupons as (

    select * from {{ raw_table('chargebee', 'subscription_coupons') }}

),

raw_subscription_discounts as (

    select * from {{ raw_table('chargebee', 'subscription_discounts') }}

),

raw_invoices as (

    select * from {{ raw_table('chargebee', 'invoices') }}

),

raw_lines as (

    select * from {{ raw_table('chargebee', 'invoice_lines') }}

),

line_discounts as (

    select
        raw_lines.source,
        raw_lines.subscription_id,
        raw_lines.invoice_id,
        raw_lines.date_from,
        raw_lines.date_to,
        raw_lines._loaded_at as loaded_at,
        unnest(
            from_json(
                raw_lines.line_item_discounts,
                '[{
                    "discount_type": "VARCHAR", "coupon_id": "VARCHAR", "entity_id": "VARCHAR",
                    "discount_amount": "BIGINT"
                }]'
            )
        ) as discount

    from raw_lines
    inner join raw_invoices
        on raw_lines.invoice_id = raw_invoices.id and raw_lines.source = raw_invoices.source
    where raw_lines.subscription_id is not null and not coalesce(raw_invoices.is_deleted, false)

),

by_invoice as (

    select
        line_discounts.source,
        line_discounts.subscription_id,
        coalesce(line_discounts.discount.coupon_id, line_discounts.discount.entity_id) as given_id,
        line_discounts.discount.discount_type like '%coupon' as is_coupon,
        line_discounts.invoice_id,
        min(line_discounts.date_from) as used_from,
        max(line_discounts.date_to) as used_until,
        sum(line_discounts.discount.discount_amount) as amount,
        max(line_discounts.loaded_at) as loaded_at

    from line_discounts
    where coalesce(line_discounts.discount.coupon_id, line_discounts.discount.entity_id) is not null
    group by all

),

used as (

    select
        source,
        subscription_id,
        given_id,
        bool_or(is_coupon) as is_coupon,
        min(used_from) as used_from,
        max(used_until) as used_until,
        arg_max(amount, (used_from, invoice_id)) as last_amount,
        max(loaded_at) as loaded_at

    from by_invoice
    group by all

),

coupons_in_force as (

    select
        source,
        id as subscription_id,
        unnest(json_extract_string(coupons, '$[*].coupon_id')) as coupon_id

    from raw_subscriptions

),

discounts_in_force as (

    select
        source,
        id as subscription_id,
        unnest(json_extract_string(discounts, '$[*].id')) as discount_id

    from raw_subscriptions

),

in_force as (

    select source, subscription_id, coupon_id as given_id from coupons_in_force
    union
    select source, subscription_id, discount_id from discounts_in_force

),

coupon_keys as (

    select source, subscription_id, coupon_id from raw_subscription_coupons
    union
    select source, subscription_id, given_id from used
    where is_coupon

),

-- What a coupon on single items takes off, or one deleted before the first load, its last bill tells.
from_coupons as (

    select
        coupon_keys.source,
        coupon_keys.subscription_id,
        coupon_keys.coupon_id as given_id,
        raw_coupons.duration_type,
        raw_coupons.discount_type = 'percentage'
        and raw_coupons.apply_on = 'invoice_amount' as has_percent,
        raw_coupons.discount_type = 'fixed_amount'
        and raw_coupons.apply_on = 'invoice_amount' as has_amount,
        raw_coupons.discount_percentage as percentage,
        raw_coupons.discount_amount as amount,
        raw_coupons.included_in_mrr,
        coalesce(raw_coupons.period, raw_coupons.duration_month) as period,
        coalesce(raw_coupons.period_unit, 'month') as period_unit,
        raw_subscription_coupons.apply_till,
        cast(null as timestamptz) as created_at,
        greatest(raw_subscription_coupons._loaded_at, raw_coupons._loaded_at) as loaded_at

    from coupon_keys
    left join raw_coupons
        on coupon_keys.coupon_id = raw_coupons.id and coupon_keys.source = raw_coupons.source
    left join raw_subscription_coupons
        on
            coupon_keys.source = raw_subscription_coupons.source
            and coupon_keys.subscription_id = raw_subscription_coupons.subscription_id
            and coupon_keys.coupon_id = raw_subscription_coupons.coupon_id

),

-- A subscription's discounts list its coupons, too.
from_discounts as (

    select
        raw_subscription_discounts.source,
        raw_subscription_discounts.subscription_id,
        raw_subscription_discounts.id as given_id,
        raw_subscription_discounts.duration_type,
        raw_subscription_discounts.type = 'percentage'
        and raw_subscription_discounts.apply_on = 'invoice_amount' as has_percent,
        raw_subscription_discounts.type = 'fixed_amount'
        and raw_subscription_discounts.apply_on = 'invoice_amount' as has_amount,
        raw_subscription_discounts.percentage,
        raw_subscription_discounts.amount,
        raw_subscription_discounts.included_in_mrr,
        raw_subscription_discounts.period,
        coalesce(raw_subscription_discounts.period_unit, 'month') as period_unit,
        raw_subscription_discounts.apply_till,
        raw_subscription_discounts.created_at,
        raw_subscription_discounts._loaded_at as loaded_at

    from raw_subscription_discounts
    anti join coupon_keys
        on
            raw_subscription_discounts.source = coupon_keys.source
            and raw_subscription_discounts.subscription_id = coupon_keys.subscription_id
            and raw_subscription_discounts.coupon_id = coupon_keys.coupon_id

),

given as (

    select * from from_coupons
    union all by name
    select * from from_discounts

),

dated as (

    select
        given.* exclude (loaded_at),
        raw_subscriptions.customer_id,
        raw_subscriptions.currency_code,
        used.last_amount,
        used.used_until,
        in_force.given_id is not null as is_in_force,
        coalesce(
            used.used_from, given.created_at, raw_subscriptions.started_at, raw_subscriptions.created_at
        ) as starts_at,
        greatest(given.loaded_at, used.loaded_at) as loaded_at

    from given
    inner join raw_subscriptions
        on given.subscription_id = raw_subscriptions.id and given.source = raw_subscriptions.source
    left join used
        on
            given.source = used.source
            and given.subscription_id = used.subscription_id
            and given.given_id = used.given_id
    left join in_force
        on
            given.source = in_force.source
            and given.subscription_id = in_force.subscription_id
            and given.given_id = in_force.given_id
    -- One that Chargebee, too, leaves out of MRR: a single bill's.
    where given.duration_type is distinct from 'one_time' or coalesce(given.included_in_mrr, true)

),

final as (

    select
        source,
        subscription_id || ':' || given_id as discount_id,
        customer_id,
        subscription_id,
        given_id as coupon_id,
        duration_type as duration,
        case when has_percent then cast(percentage as decimal(9, 4)) end as percent_off,
        case
            when has_amount then {{ chargebee_money('amount', 'currency_code') }}
            when not coalesce(has_percent, false) then {{ chargebee_money('last_amount', 'currency_code') }}
        end as amount_off,
        upper(currency_code) as currency,
        -- Taken off before it was ever used.
        not is_in_force and used_until is null as is_deleted,
        starts_at,
        case
            when duration_type = 'one_time' then used_until
            else least(
                case
                    when duration_type = 'limited_period'
                        then coalesce(
                            apply_till,
                            case period_unit
                                when 'day' then starts_at + to_days(cast(period as integer))
                                when 'week' then starts_at + to_days(cast(7 * period as integer))
                                when 'year' then starts_at + to_months(cast(12 * period as integer))
                                else starts_at + to_months(cast(period as integer))
                            end
                        )
                end,
                -- Gone since: the last bill it was on tells until when.
                case when not is_in_force then used_until end
            )
        end as ends_at,
        loaded_at

    from dated

)

select * from final
