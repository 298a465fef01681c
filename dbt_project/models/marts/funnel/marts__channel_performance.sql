with

credits as (

    select * from {{ ref('core__attribution') }}
    where coalesce(opportunity_type, 'new_business') = 'new_business'

),

events as (

    select * from {{ ref('core__funnel_events') }}
    where step = 'lead' and not is_imputed

),

touches as (

    select * from {{ ref('core__touches') }}
    where kind = 'lead'

),

spend as (

    select * from {{ ref('finance__spend') }}
    where is_acquisition and not coalesce(is_deleted, false)

),

campaigns as (

    select * from {{ ref('core__campaigns') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

leads as (

    select
        cast(date_trunc('month', {{ local_date('events.occurred_at') }}) as date) as month,
        touches.channel,
        touches.campaign_key,
        1 as leads

    from events
    left join touches
        on
            events.journey_id = touches.journey_id
            and events.source = touches.source
            and events.record_id = touches.record_id

),

spent as (

    select
        cast(date_trunc('month', spend.month) as date) as month,
        lower(trim(spend.channel)) as channel,
        coalesce(campaigns.campaign_key, spend.source || ':' || spend.campaign_id) as campaign_key,
        {{ cents('spend.amount * closing_rates.rate') }} as spend

    from spend
    inner join closing_rates
        on
            date_trunc('month', spend.month) = closing_rates.month
            and {{ currency_or_reporting('spend.currency') }} = closing_rates.currency
    left join campaigns
        on spend.campaign_id = campaigns.campaign_id and campaigns.is_only_one

),

facts as (

    select * from leads
    union all by name
    select * from spent
    union all by name
    select
        month,
        channel,
        campaign_key,
        case when measure = 'pipeline' then position_based_share end as opportunities,
        case when measure = 'revenue' then position_based_share end as customers,
        case when measure = 'pipeline' then position_based end as pipeline,
        case when measure = 'revenue' then position_based end as revenue

    from credits

),

levelled as (

    select
        * exclude (channel, campaign_key),
        coalesce(channel, '(none)') as channel,
        unnest(['all', coalesce(campaign_key, '(none)')]) as campaign_key

    from facts

),

summed as (

    select
        levelled.month,
        levelled.channel,
        levelled.campaign_key,
        any_value(campaigns.name) as campaign,
        cast(coalesce(sum(levelled.spend), 0) as decimal(18, 2)) as spend,
        count(levelled.leads) as leads,
        cast(coalesce(sum(levelled.opportunities), 0) as decimal(18, 4)) as opportunities,
        cast(coalesce(sum(levelled.customers), 0) as decimal(18, 4)) as customers,
        cast(coalesce(sum(levelled.pipeline), 0) as decimal(18, 2)) as pipeline,
        cast(coalesce(sum(levelled.revenue), 0) as decimal(18, 2)) as revenue

    from levelled
    left join campaigns
        on levelled.campaign_key = campaigns.campaign_key
    group by all

),

final as (

    select
        *,
        cast({{ ratio('spend', 'leads') }} as decimal(38, 12)) as cost_per_lead,
        cast({{ ratio('spend', 'opportunities') }} as decimal(38, 12)) as cost_per_opportunity,
        cast({{ ratio('spend', 'customers') }} as decimal(38, 12)) as cost_per_customer

    from summed

)

select * from final
