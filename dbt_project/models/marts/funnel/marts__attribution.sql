with

credits as (

    select * from {{ ref('core__attribution') }}

),

campaigns as (

    select * from {{ ref('core__campaigns') }}

),

by_model as (
    {% for model in attribution_models() %}
    select
        '{{ model }}' as model,
        month,
        channel,
        campaign_key,
        case when measure = 'pipeline' then {{ model }}_share else 0 end as opportunities,
        case when measure = 'pipeline' then {{ model }} else 0 end as pipeline,
        case when measure = 'revenue' then {{ model }}_share else 0 end as won,
        case when measure = 'revenue' then {{ model }} else 0 end as revenue

    from credits
    where {{ model }} <> 0 or {{ model }}_share <> 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        by_model.model,
        by_model.month,
        by_model.channel,
        coalesce(by_model.campaign_key, '(none)') as campaign_key,
        any_value(campaigns.name) as campaign,
        cast(sum(by_model.opportunities) as decimal(18, 4)) as opportunities,
        cast(sum(by_model.pipeline) as decimal(18, 2)) as pipeline,
        cast(sum(by_model.won) as decimal(18, 4)) as won,
        cast(sum(by_model.revenue) as decimal(18, 2)) as revenue

    from by_model
    left join campaigns
        on by_model.campaign_key = campaigns.campaign_key
    group by all

)

select * from final
