-- A cent that rounding loses, or a join doubles, and marketing and sales report on two companies.
with

credits as (

    select * from {{ ref('core__attribution') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

sales as (

    select source, opportunity_id, 'pipeline' as measure, coalesce(amount, 0) as amount
    from opportunities
    where created_at < {{ as_of() }}
    union all
    select source, opportunity_id, 'revenue', coalesce(amount, 0)
    from opportunities
    where outcome = 'won' and closed_at < {{ as_of() }}

),

shared as (
    {% for model in attribution_models() %}
    select
        source,
        opportunity_id,
        measure,
        '{{ model }}' as model,
        sum({{ model }}) as amount,
        sum({{ model }}_share) as share
    from credits
    group by all
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

published as (

    select model, sum(pipeline) as pipeline, sum(revenue) as revenue
    from {{ ref('marts__attribution') }}
    group by all

),

totals as (

    select
        sum(amount) filter (where measure = 'pipeline') as pipeline,
        sum(amount) filter (where measure = 'revenue') as revenue
    from sales

),

spent as (

    select
        (
            select coalesce(sum(spend), 0)
            from {{ ref('marts__channel_performance') }}
            where campaign_key = 'all'
        ) as by_channel,
        (
            select coalesce(sum(spend), 0)
            from {{ ref('marts__channel_performance') }}
            where campaign_key <> 'all'
        ) as by_campaign,
        (
            select coalesce(sum(spend), 0)
            from {{ ref('core__kpi_spend') }}
            where period = 'month'
        ) as of_facts

)

select
    'opportunity ' || sales.opportunity_id || ', ' || sales.measure || ', ' || shared.model as what,
    sales.amount as of_facts,
    shared.amount as attributed
from sales
left join shared using (source, opportunity_id, measure)
where shared.amount is distinct from sales.amount or shared.share <> 1

union all

select 'pipeline, ' || published.model, coalesce(totals.pipeline, 0), published.pipeline
from totals
cross join published
where coalesce(totals.pipeline, 0) <> published.pipeline

union all

select 'revenue, ' || published.model, coalesce(totals.revenue, 0), published.revenue
from totals
cross join published
where coalesce(totals.revenue, 0) <> published.revenue

union all

select 'spend', of_facts, by_channel
from spent
where of_facts <> by_channel or by_channel <> by_campaign
