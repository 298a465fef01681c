{#- Student's t that one in ten exceeds, by degrees of freedom from 3 on; from 20 on it hardly changes. -#}
{%- set t_values = [
    1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345, 1.341, 1.337, 1.333,
    1.330, 1.328, 1.325
] -%}
with

calendar as (

    select * from {{ ref('core__calendar') }}
    where period = 'quarter'

),

submitted as (

    select * from {{ ref('finance__forecasts') }}
    where category = 'commit' and submitted_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

fx_rates as (

    select * from {{ ref('finance__fx_rates') }}

),

rates as (

    {{ daily_rates('fx_rates') }}

),

sales as (

    select * from {{ ref('core__kpi_sales') }}
    where period = 'quarter' and segment = 'all'

),

pipeline as (

    select * from {{ ref('marts__pipeline_daily') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

stage_visits as (

    select * from {{ ref('core__stage_visits') }}

),

-- All quarters so far, and the next.
known_quarters as (

    select
        period_start as quarter,
        period_end,
        case when is_complete then 'complete' else 'running' end as status

    from calendar

    union all

    select
        max(period_end),
        cast(max(period_end) + interval 3 month as date),
        'next'

    from calendar
    having count(*) > 0

),

-- The next quarter is forecast before it begins: its interval comes from forecasts made as early.
leads as (

    select 0 as lead_days
    union
    select cast(quarter - {{ last_day() }} - 1 as integer)
    from known_quarters
    where status = 'next'

),

quarters as (

    select
        known_quarters.*,
        leads.lead_days,
        known_quarters.quarter - leads.lead_days as first_day,
        {{ local_midnight('known_quarters.quarter - leads.lead_days') }} as begins_at

    from known_quarters
    cross join leads

),

-- The last word of each rep on the first day.
frozen as (

    select
        quarters.quarter,
        quarters.lead_days,
        submitted.amount,
        {{ currency_or_reporting('submitted.currency') }} as currency_code,
        {{ local_date('submitted.submitted_at') }} as submitted_on

    from submitted
    inner join quarters
        on submitted.period_start = quarters.quarter and submitted.period_end = quarters.period_end
    where {{ local_date('submitted.submitted_at') }} <= quarters.first_day
    qualify row_number() over (
        partition by quarters.quarter, quarters.lead_days, submitted.source, submitted.owner_id
        order by submitted.submitted_at desc, submitted.forecast_id desc
    ) = 1

),

converted as (

    select
        frozen.quarter,
        frozen.lead_days,
        {{ cents(
            "frozen.amount * case when frozen.currency_code = '" ~ var('currency') ~ "' then 1 else rates.rate end"
        ) }} as amount

    from frozen
    asof left join rates
        on frozen.currency_code = rates.currency and frozen.submitted_on >= rates.rate_date

),

-- Open as that day begins, and to close in the quarter.
due as (

    select
        quarters.quarter,
        quarters.lead_days,
        quarters.begins_at,
        pipeline.source,
        opportunities.pipeline,
        pipeline.stage,
        coalesce(pipeline.amount, 0) as amount,
        pipeline.probability

    from quarters
    inner join pipeline
        on quarters.first_day - 1 = pipeline.day
    inner join opportunities
        on pipeline.source = opportunities.source and pipeline.opportunity_id = opportunities.opportunity_id
    where
        pipeline.outcome = 'open'
        and pipeline.close_date >= quarters.quarter and pipeline.close_date < quarters.period_end

),

-- Of all that was ever in a stage and had ended by then: how much was won.
passed as (

    select distinct
        stage_visits.source,
        stage_visits.pipeline,
        stage_visits.label as stage,
        stage_visits.opportunity_id,
        opportunities.outcome,
        opportunities.closed_at

    from stage_visits
    inner join opportunities
        on
            stage_visits.source = opportunities.source
            and stage_visits.opportunity_id = opportunities.opportunity_id
    where opportunities.outcome in ('won', 'lost') and opportunities.closed_at is not null

),

conversions as (

    select
        stages.quarter,
        stages.lead_days,
        stages.source,
        stages.pipeline,
        stages.stage,
        cast(
            {{ ratio("count(*) filter (where passed.outcome = 'won')", 'count(*)') }} as decimal(13, 12)
        ) as won_share

    from (select distinct quarter, lead_days, begins_at, source, pipeline, stage from due) as stages
    inner join passed
        on
            stages.source = passed.source
            and stages.pipeline is not distinct from passed.pipeline
            and stages.stage = passed.stage
            and stages.begins_at > passed.closed_at
    group by all

),

-- What one amount or probability is missing for has no forecast, rather than part of one.
forecasts as (

    select
        quarter,
        lead_days,
        'submitted' as method,
        case when count(*) = count(amount) then sum(amount) end as forecast

    from converted
    group by all

    union all

    select
        quarter,
        lead_days,
        'weighted',
        case
            when count(*) = count(probability) or sum(amount) filter (where probability is null) = 0
                then coalesce(sum({{ cents('amount * probability') }}), 0)
        end

    from due
    group by all

    union all

    select
        due.quarter,
        due.lead_days,
        'stage_conversion',
        case
            when count(*) = count(conversions.won_share)
                then sum({{ cents("cast(due.amount as decimal(24, 2)) * conversions.won_share") }})
        end

    from due
    left join conversions
        on
            due.quarter = conversions.quarter
            and due.lead_days = conversions.lead_days
            and due.source = conversions.source
            and due.pipeline is not distinct from conversions.pipeline
            and due.stage = conversions.stage
    group by all

),

judged as (

    select
        quarters.quarter,
        quarters.period_end,
        quarters.lead_days,
        quarters.first_day,
        quarters.status,
        methods.method,
        forecasts.forecast,
        case when quarters.status = 'complete' then sales.won_value end as actual,
        -- A share of what was forecast, which is all that is known of a quarter to come.
        case
            when forecasts.forecast > 0
                then cast({{ ratio('actual - forecasts.forecast', 'forecasts.forecast') }} as decimal(18, 9))
        end as miss

    from quarters
    cross join (values ('submitted'), ('weighted'), ('stage_conversion')) as methods (method)
    left join sales
        on quarters.quarter = sales.period_start
    left join forecasts
        on
            quarters.quarter = forecasts.quarter
            and quarters.lead_days = forecasts.lead_days
            and methods.method = forecasts.method

),

-- Only what was known on that day.
remembered as (

    select
        judged.*,
        count(past.miss) as past_quarters,
        coalesce(sum(past.miss), 0) as sum_of_misses,
        coalesce(sum(cast(past.miss as decimal(19, 9)) * past.miss), 0) as sum_of_squares

    from judged
    left join judged as past
        on
            judged.method = past.method
            and judged.lead_days = past.lead_days
            and judged.first_day >= past.period_end
    group by all

),

-- An interval that the next of like misses falls into in four of five cases (Student's t).
spread as (

    select
        *,
        cast(sum_of_misses as double) / past_quarters as mean_miss,
        {{ t_values }}[least(past_quarters - 3, {{ t_values | length }})] * sqrt(
            cast(past_quarters * sum_of_squares - sum_of_misses * sum_of_misses as double)
            / (past_quarters * (past_quarters - 1)) * (1 + 1 / past_quarters)
        ) as reach

    from remembered

),

bounded as (

    select
        *,
        case
            when forecast > 0 and past_quarters >= 4
                then cast(greatest(0, forecast * (1 + mean_miss - reach)) as decimal(18, 2))
        end as lower_80,
        case
            when forecast > 0 and past_quarters >= 4
                then cast(greatest(0, forecast * (1 + mean_miss + reach)) as decimal(18, 2))
        end as upper_80,
        actual between lower_80 and upper_80 as is_within

    from spread

),

final as (

    select
        quarter,
        method,
        status,
        cast(forecast as decimal(18, 2)) as forecast,
        cast(actual as decimal(18, 2)) as actual,
        -- The greatest of nothing and 0 is 0.
        case
            when forecast is not null
                then cast(
                    {{ ratio('greatest(0, actual - abs(forecast - actual))', 'actual') }} as decimal(38, 12)
                )
        end as accuracy,
        lower_80,
        upper_80,
        cast(past_quarters as integer) as past_quarters,
        is_within,
        cast(count(is_within) over so_far as integer) as intervals,
        cast(
            {{ ratio('count(*) filter (where is_within) over so_far', 'count(is_within) over so_far') }}
            as decimal(9, 6)
        ) as interval_coverage,
        case
            when forecast is null and method = 'submitted' then 'no commit forecast in time'
            when forecast is null and method = 'weighted' then 'no pipeline to close in it, or no probability'
            when forecast is null then 'no pipeline to close in it, or a stage nothing had ended from yet'
            when forecast <= 0 then 'nothing was forecast: no interval'
            when past_quarters < 4 then 'no interval: four quarters with a forecast must be over before'
        end as remark

    from bounded
    window so_far as (partition by method, lead_days order by quarter)
    qualify lead_days = case when status = 'next' then max(lead_days) over () else 0 end

)

select * from final
