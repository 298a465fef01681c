{%- set fields = ['stage', 'amount', 'close_date', 'owner_id', 'forecast_category'] -%}
with

opportunities as (

    select
        * exclude (closed_on),
        -- What closes later on the last day is still open.
        case when closed_at >= {{ as_of() }} then {{ last_day() }} + 1 else closed_on end as closed_on

    from {{ ref('core__opportunities') }}
    where coalesce(created_at < {{ as_of() }}, true)

),

history as (

    select * from {{ ref('crm__opportunity_history') }}
    where changed_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

stages as (

    select * from {{ ref('crm__stages') }}

),

fx_rates as (

    select * from {{ ref('finance__fx_rates') }}

),

rates as (

    {{ daily_rates('fx_rates') }}

),

-- An empty value is a value: '' stands for it until the end.
changes as (

    select
        source,
        opportunity_id,
        field,
        changed_at,
        {{ local_date('changed_at') }} as changed_on,
        coalesce(old_value, '') as old_value,
        coalesce(new_value, '') as new_value

    from history

),

first_values as (

    select
        source,
        opportunity_id,
        {%- for field in fields %}
        arg_min(old_value, changed_at) filter (where field = '{{ field }}') as {{ field }},
        {%- endfor %}
        min(changed_on) as first_changed_on

    from changes
    group by all

),

lives as (

    select
        opportunities.source,
        opportunities.opportunity_id,
        coalesce(
            opportunities.created_on, first_values.first_changed_on, opportunities.closed_on, {{ last_day() }}
        ) as first_on,
        least(opportunities.closed_on, {{ last_day() }}) as last_on,
        coalesce(first_values.stage, opportunities.stage) as stage,
        coalesce(first_values.amount, cast(opportunities.amount_local as varchar)) as amount,
        coalesce(first_values.close_date, cast(opportunities.close_date as varchar)) as close_date,
        coalesce(first_values.owner_id, opportunities.owner_id) as owner_id,
        coalesce(first_values.forecast_category, opportunities.forecast_category) as forecast_category

    from opportunities
    left join first_values
        on
            opportunities.source = first_values.source
            and opportunities.opportunity_id = first_values.opportunity_id

),

lived as (

    select
        changes.*,
        greatest(changes.changed_on, lives.first_on) as day

    from changes
    inner join lives
        on changes.source = lives.source and changes.opportunity_id = lives.opportunity_id
    where changes.changed_on <= lives.last_on

),

-- The last value of each field on each day that brought one, and the values the opportunity began with.
day_ends as (

    select
        source,
        opportunity_id,
        {%- for field in fields %}
        arg_max(new_value, changed_at) filter (where field = '{{ field }}') as {{ field }},
        {%- endfor %}
        day

    from lived
    group by all
    union all by name
    select
        source,
        opportunity_id,
        stage,
        amount,
        close_date,
        owner_id,
        forecast_category,
        first_on - 1 as day

    from lives

),

versions as (

    select
        source,
        opportunity_id,
        day,
        {%- for field in fields %}
        nullif(last_value({{ field }} ignore nulls) over by_day, '') as {{ field }},
        {%- endfor %}
        lead(day) over by_day as next_day

    from day_ends
    window by_day as (partition by source, opportunity_id order by day)

),

daily as (

    select
        versions.* exclude (day),
        cast(unnest(range(
            greatest(versions.day, lives.first_on),
            coalesce(versions.next_day, lives.last_on + 1),
            interval 1 day
        )) as date) as day

    from versions
    inner join lives
        on versions.source = lives.source and versions.opportunity_id = lives.opportunity_id

),

final as (

    select
        daily.day,
        daily.source,
        daily.opportunity_id,
        opportunities.account,
        opportunities.opportunity_type,
        coalesce(stages.label, daily.stage) as stage,
        case when opportunities.closed_on > daily.day then 'open' else opportunities.outcome end as outcome,
        try_cast(daily.amount as decimal(18, 4)) as amount_local,
        opportunities.currency,
        {{ cents(
            "try_cast(daily.amount as decimal(18, 4))"
            ~ " * case when opportunities.currency = '" ~ var('currency') ~ "' then 1 else rates.rate end"
        ) }} as amount,
        try_cast(daily.close_date as date) as close_date,
        daily.owner_id,
        daily.forecast_category

    from daily
    inner join opportunities
        on daily.source = opportunities.source and daily.opportunity_id = opportunities.opportunity_id
    left join stages
        on
            daily.source = stages.source
            and opportunities.pipeline = stages.pipeline
            and daily.stage = stages.stage
    asof left join rates
        on opportunities.currency = rates.currency and daily.day >= rates.rate_date

)

select * from final
