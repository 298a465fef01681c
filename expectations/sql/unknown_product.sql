-- Products of open and won opportunities that billing has no price for. Only letters and digits of a name count.
with sold as (
    select
        product,
        regexp_replace(lower(product), '[^a-z0-9]', '', 'g') as name,
        count(*) as opportunities,
        sum(amount_reporting) as amount
    from gate_opportunities
    where outcome <> 'lost' and product <> ''
    group by product
),

listed as (
    select distinct
        regexp_replace(lower(unnest([product_id, product_name, plan_name, price_id])), '[^a-z0-9]', '', 'g') as name
    from billing.prices
    where not coalesce(is_deleted, false)
)

select
    sold.product as key_left,
    sold.opportunities || ' opportunity(ies)' as value_left,
    'not in the price list' as value_right,
    coalesce(sold.amount, 0) as money_at_risk
from sold
where sold.name not in (select listed.name from listed where listed.name is not null)
