-- What an account is, in each month since it first was worth something. Who looks after it is who closed its
-- last won deal by then, so that a rep who changes territory takes no history along.
with

months as (

    select
        period_start as month,
        t_end

    from {{ ref('core__calendar') }}
    where period = 'month'

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

subscription_mrr as (

    select * from {{ ref('core__subscription_mrr') }}

),

items as (

    select * from {{ ref('billing__subscription_items') }}
    where not coalesce(is_deleted, false)

),

prices as (

    select * from {{ ref('billing__prices') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}
    where outcome = 'won' and account is not null and closed_at < {{ as_of() }}

),

accounts as (

    select * from {{ ref('identity__accounts') }}

),

owners as (

    select * from {{ ref('crm__owners') }}

),

customers as (

    select
        account,
        min(month) as first_month

    from movements
    group by all

),

spine as (

    select
        customers.account,
        months.month

    from customers
    inner join months
        on customers.first_month <= months.month

),

described as (

    select
        customers.account,
        accounts.country,
        owners.owner_id,
        owners.team,
        owners.region,
        case
            when accounts.employee_count <= 50 then '1-50'
            when accounts.employee_count <= 250 then '51-250'
            when accounts.employee_count <= 1000 then '251-1000'
            when accounts.employee_count > 1000 then '1001+'
        end as size

    from customers
    left join accounts
        on customers.account = accounts.account
    left join owners
        on accounts.owner.source = owners.source and accounts.owner.owner_id = owners.owner_id

),

deals as (

    select
        account,
        cast(date_trunc('month', closed_on) as date) as month,
        arg_max(
            struct_pack(owner_id := closing_owner_id, team := team, region := region),
            (closed_at, source, opportunity_id)
        ) as seller

    from opportunities
    where closing_owner_id is not null
    group by all

),

acquired as (

    select
        account,
        arg_min(lead_source, (closed_at, source, opportunity_id)) as lead_source

    from opportunities
    where lead_source is not null
    group by all

),

-- Of the subscription that is worth most, the item that is.
plans as (

    select
        subscription_mrr.month,
        subscription_mrr.account,
        arg_max(
            struct_pack(
                plan := coalesce(prices.plan_name, prices.product_name),
                product := coalesce(prices.product_name, prices.product_id)
            ),
            (
                subscription_mrr.mrr, subscription_mrr.subscription_id, items.unit_amount * items.quantity,
                items.subscription_item_id
            )
        ) as sold

    from subscription_mrr
    inner join months
        on subscription_mrr.month = months.month
    inner join items
        on
            subscription_mrr.source = items.source
            and subscription_mrr.subscription_id = items.subscription_id
            and months.t_end > items.valid_from
            and months.t_end <= coalesce(items.valid_to, 'infinity')
    inner join prices
        on items.source = prices.source and items.price_id = prices.price_id
    where coalesce(prices.is_recurring, true)
    group by all

),

final as (

    select
        spine.month,
        spine.account,
        case when deals.account is null then described.owner_id else deals.seller.owner_id end as owner_id,
        case when deals.account is null then described.team else deals.seller.team end as team,
        case when deals.account is null then described.region else deals.seller.region end as region,
        described.country,
        described.size,
        acquired.lead_source,
        plans.sold.plan,
        plans.sold.product

    from spine
    inner join described
        on spine.account = described.account
    asof left join deals
        on spine.account = deals.account and spine.month >= deals.month
    asof left join plans
        on spine.account = plans.account and spine.month >= plans.month
    left join acquired
        on spine.account = acquired.account

)

select * from final
