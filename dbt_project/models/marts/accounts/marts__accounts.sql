with

accounts as (

    select * from {{ ref('identity__accounts') }}

),

crm_links as (

    select * from {{ ref('identity__crm_accounts') }}

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

people as (

    select * from {{ ref('identity__people') }}

),

crm_accounts as (

    select * from {{ ref('crm__accounts') }}
    where not coalesce(is_deleted, false)

),

recipients as (

    select * from {{ ref('email__recipients') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

subscription_mrr as (

    select * from {{ ref('core__subscription_mrr') }}

),

items as (

    select * from {{ ref('billing__subscription_items') }}

),

prices as (

    select * from {{ ref('billing__prices') }}

),

invoices as (

    select * from {{ ref('billing__invoices') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

purchase_forecasts as (

    select * from {{ ref('core__purchase_forecasts') }}

),

months as (

    select month from {{ ref('core__kpi_months') }}
    where period = 'month' and is_closing
    qualify month = max(month) over ()

),

gaps as (

    select * from {{ source('gaps', 'register') }}
    where resolved_at is null

),

-- The oldest record of several speaks for the company.
crm as (

    select
        crm_links.account,
        string_agg(
            crm_links.source || ':' || crm_links.account_id,
            ', '
            order by crm_links.source, crm_links.account_id
        ) as crm_keys,
        arg_min(crm_accounts.owner_id, (crm_accounts.created_at, crm_accounts.account_id)) as owner_id,
        arg_min(
            crm_accounts.lifecycle_stage, (crm_accounts.created_at, crm_accounts.account_id)
        ) as lifecycle_stage

    from crm_links
    left join crm_accounts
        on crm_links.source = crm_accounts.source and crm_links.account_id = crm_accounts.account_id
    group by all

),

billing as (

    select
        account,
        string_agg(source || ':' || customer_id, ', ' order by source, customer_id) as billing_keys

    from billing_links
    group by all

),

email as (

    select
        people.account,
        string_agg(
            recipients.source || ':' || recipients.recipient_id,
            ', '
            order by recipients.source, recipients.recipient_id
        ) as email_keys

    from recipients
    inner join people
        on lower(trim(recipients.email)) = people.email
    group by all

),

mrr as (

    select
        movements.account,
        min(movements.month) filter (where movements.closing > 0) as customer_since,
        sum(movements.closing) filter (where movements.month = months.month) as mrr,
        coalesce(bool_or(movements.contraction < 0) filter (
            where movements.month > months.month - interval 3 month
        ), false) as has_shrunk

    from movements
    cross join months
    group by all

),

-- The plan of the subscription that is worth most.
plans as (

    select
        subscription_mrr.account,
        arg_max(coalesce(prices.plan_name, prices.product_name), (
            subscription_mrr.mrr, items.unit_amount * items.quantity, items.subscription_item_id
        )) as plan

    from subscription_mrr
    inner join months
        on subscription_mrr.month = months.month
    inner join items
        on
            subscription_mrr.source = items.source
            and subscription_mrr.subscription_id = items.subscription_id
            and items.valid_from < {{ as_of() }}
            and coalesce(items.valid_to >= {{ as_of() }}, true)
    inner join prices
        on items.source = prices.source and items.price_id = prices.price_id
    group by all

),

overdue as (

    select
        billing_links.account,
        count(*) as overdue_invoices

    from invoices
    inner join billing_links
        on invoices.source = billing_links.source and invoices.customer_id = billing_links.customer_id
    where
        invoices.due_at < {{ as_of() }}
        and invoices.status in ('open', 'uncollectible')
        and not coalesce(invoices.is_deleted, false)
    group by all

),

deals as (

    select
        account,
        count(*) filter (where outcome = 'open') as open_opportunities,
        sum(amount) filter (where outcome = 'won') as won_revenue

    from opportunities
    group by all

),

open_gaps as (

    select
        account,
        count(*) as open_gaps,
        bool_or(severity in ('critical', 'high')) as has_serious_gap

    from gaps
    group by all

),

final as (

    select
        accounts.account,
        accounts.name,
        accounts.domain,
        accounts.country,
        accounts.first_seen_at,
        crm.crm_keys,
        billing.billing_keys,
        email.email_keys,
        crm.owner_id,
        crm.lifecycle_stage,
        mrr.customer_since,
        plans.plan,
        cast(coalesce(mrr.mrr, 0) as decimal(18, 2)) as mrr,
        cast(coalesce(deals.won_revenue, 0) as decimal(18, 2)) as won_revenue,
        coalesce(deals.open_opportunities, 0) as open_opportunities,
        coalesce(overdue.overdue_invoices, 0) as overdue_invoices,
        coalesce(open_gaps.open_gaps, 0) as open_gaps,
        cast(round(purchase_forecasts.probability_alive, 6) as decimal(9, 6)) as probability_alive,
        cast(round(purchase_forecasts.purchases_next_year, 6) as decimal(18, 6)) as purchases_next_year,
        {{ cents(
            'purchase_forecasts.purchases_next_year * purchase_forecasts.amount_a_purchase'
            ~ (' * ' ~ var('policies').gross_margin if var('policies').clv_gross_margin else '')
        ) }} as clv_next_year,
        case
            when mrr.customer_since is null then 'prospect'
            when coalesce(mrr.mrr, 0) = 0 then 'churned'
            when mrr.has_shrunk or overdue.overdue_invoices > 0 or open_gaps.has_serious_gap then 'at_risk'
            else 'healthy'
        end as health

    from accounts
    left join crm on accounts.account = crm.account
    left join billing on accounts.account = billing.account
    left join email on accounts.account = email.account
    left join mrr on accounts.account = mrr.account
    left join plans on accounts.account = plans.account
    left join overdue on accounts.account = overdue.account
    left join deals on accounts.account = deals.account
    left join open_gaps on accounts.account = open_gaps.account
    left join purchase_forecasts on accounts.account = purchase_forecasts.account

)

select * from final
