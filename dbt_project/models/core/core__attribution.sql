{{ config(materialized = 'kept', kept_by = ['source', 'opportunity_id']) }}
{%- set sale = 'source, opportunity_id, measure' -%}
with

opportunities as (

    select * from {{ ref('core__opportunities') }} {{ unless_kept() }}

),

events as (

    select * from {{ ref('core__funnel_events') }}
    where step in ('opportunity', 'won') and not is_imputed

),

touches as (

    select * from {{ ref('core__touches') }}

),

campaigns as (

    select * from {{ ref('core__campaigns') }}

),

journeys as (

    select
        source,
        record_id as opportunity_id,
        any_value(journey_id) as journey_id

    from events
    group by all

),

-- Pipeline is what was created, revenue what was won.
sales as (

    select
        source,
        opportunity_id,
        opportunity_type,
        lead_source,
        campaign_id,
        created_at,
        coalesce(amount, 0) as amount,
        unnest([
            {'measure': 'pipeline', 'occurred_at': created_at},
            {'measure': 'revenue', 'occurred_at': case when outcome = 'won' then closed_at end}
        ], recursive := true)

    from opportunities

),

known_sales as (

    select * from sales
    where occurred_at < {{ as_of() }}

),

touched as (

    select
        sales.source,
        sales.opportunity_id,
        sales.measure,
        touches.kind,
        touches.source || ':' || touches.record_id as record,
        touches.channel,
        touches.campaign_key,
        touches.occurred_at

    from known_sales as sales
    inner join journeys
        on sales.source = journeys.source and sales.opportunity_id = journeys.opportunity_id
    inner join touches
        on journeys.journey_id = touches.journey_id and sales.occurred_at >= touches.occurred_at

),

touches_of as (

    select
        journey_id,
        sum(hash(kind, source, record_id, channel, campaign_key, occurred_at)) as fingerprint

    from touches
    group by journey_id

),

common as (

    select sum(hash(campaign_id, campaign_key, channel, is_only_one)) as campaigns from campaigns

),

-- Whatever happens by the instant of the run, or not.
fingerprints as (  -- noqa: ST03

    select
        opportunities.source,
        opportunities.opportunity_id,
        hash(
            {%- for column in [
                'opportunity_type', 'lead_source', 'campaign_id', 'created_at', 'closed_at', 'outcome', 'amount',
            ] %}
            opportunities.{{ column }},
            {%- endfor %}
            opportunities.created_at < {{ as_of() }},
            opportunities.closed_at < {{ as_of() }},
            journeys.journey_id,
            touches_of.fingerprint,
            common.campaigns
        ) as fingerprint

    from opportunities
    cross join common
    left join journeys
        on
            opportunities.source = journeys.source
            and opportunities.opportunity_id = journeys.opportunity_id
    left join touches_of
        on journeys.journey_id = touches_of.journey_id

),

-- The opportunity's own word on where it comes from, where no touch says the same.
own_sources as (

    select
        sales.source,
        sales.opportunity_id,
        sales.measure,
        'opportunity' as kind,
        sales.source || ':' || sales.opportunity_id as record,
        coalesce(lower(trim(sales.lead_source)), campaigns.channel, 'campaign') as channel,
        coalesce(campaigns.campaign_key, sales.source || ':' || sales.campaign_id) as campaign_key,
        coalesce(sales.created_at, sales.occurred_at) as occurred_at

    from known_sales as sales
    left join campaigns
        on sales.campaign_id = campaigns.campaign_id and campaigns.is_only_one
    where sales.lead_source is not null or sales.campaign_id is not null

),

all_touches as (

    select * from touched
    union all
    select own_sources.*
    from own_sources
    anti join touched
        on
            own_sources.source = touched.source
            and own_sources.opportunity_id = touched.opportunity_id
            and own_sources.measure = touched.measure
            and own_sources.channel = touched.channel

),

placed as (

    select
        sales.source,
        sales.opportunity_id,
        sales.measure,
        sales.opportunity_type,
        sales.occurred_at,
        sales.amount,
        coalesce(all_touches.kind, 'untouched') as kind,
        all_touches.record,
        coalesce(all_touches.channel, 'untouched') as channel,
        all_touches.campaign_key,
        all_touches.occurred_at as touched_at,
        cast(row_number() over (
            partition by sales.source, sales.opportunity_id, sales.measure
            order by
                all_touches.occurred_at, all_touches.channel, all_touches.campaign_key, all_touches.record,
                all_touches.kind
        ) as hugeint) as place,
        cast(count(*) over (
            partition by sales.source, sales.opportunity_id, sales.measure
        ) as hugeint) as places

    from known_sales as sales
    left join all_touches
        on
            sales.source = all_touches.source
            and sales.opportunity_id = all_touches.opportunity_id
            and sales.measure = all_touches.measure

),

-- 40 % to the first, 40 % to the last, the rest evenly to those between; two share evenly.
weighted as (

    select
        *,
        cast(place = 1 as hugeint) as first_touch_weight,
        cast(1 as hugeint) as first_touch_weights,
        cast(place = places as hugeint) as last_touch_weight,
        cast(1 as hugeint) as last_touch_weights,
        cast(1 as hugeint) as linear_weight,
        places as linear_weights,
        case when places > 2 and place in (1, places) then 2 * (places - 2) else 1 end
            as position_based_weight,
        case when places > 2 then 5 * (places - 2) else places end as position_based_weights

    from placed

),

final as (

    select
        source,
        opportunity_id,
        measure,
        opportunity_type,
        cast(date_trunc('month', {{ local_date('occurred_at') }}) as date) as month,
        amount,
        kind,
        record,
        channel,
        campaign_key,
        touched_at,
        {%- for model in attribution_models() %}
        {{ largest_remainder('amount', 2, model, sale, 'place') }} as {{ model }},
        {{ largest_remainder('1', 4, model, sale, 'place') }} as {{ model }}_share,
        {%- endfor %}
        cast(place as integer) as place

    from weighted

)

select * from final
