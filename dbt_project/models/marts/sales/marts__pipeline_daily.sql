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

-- Later changes, too, say what there was before them.
history as (

    select * from {{ ref('crm__opportunity_history') }}
    where not coalesce(is_deleted, false)

),

owners as (

    select * from {{ ref('crm__owners') }}

),

quotas as (

    select * from {{ ref('finance__quotas') }}
    where team is not null and not coalesce(is_deleted, false)

),

-- A source with a probability above 1 writes them as per cent.
stages as (

    select
        * exclude (probability),
        cast(
            case when max(probability) over (partition by source) > 1 then 0.01 else 1 end * probability
            as decimal(9, 4)
        ) as probability

    from {{ ref('crm__stages') }}

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

-- When each was last opened again after it had been closed.
reopened as (

    select
        changes.source,
        changes.opportunity_id,
        max(changes.changed_on) as reopened_on

    from changes
    inner join opportunities
        on changes.source = opportunities.source and changes.opportunity_id = opportunities.opportunity_id
    inner join stages as former
        on
            changes.source = former.source
            and opportunities.pipeline = former.pipeline
            and changes.old_value = former.stage
    inner join stages as later
        on
            changes.source = later.source
            and opportunities.pipeline = later.pipeline
            and changes.new_value = later.stage
    where changes.field = 'stage' and former.outcome in ('won', 'lost') and later.outcome = 'open'
    group by all

),

lives as (

    select
        opportunities.source,
        opportunities.opportunity_id,
        opportunities.pipeline,
        case when opportunities.outcome = 'open' then opportunities.probability end as probability,
        least(opportunities.closed_on, {{ last_day() }}) as last_on,
        -- What was entered after its close has that day only.
        least(
            coalesce(opportunities.created_on, first_values.first_changed_on, opportunities.closed_on),
            last_on
        ) as first_on,
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
    where changes.changed_on <= lives.last_on and changes.changed_at < {{ as_of() }}

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

-- What was closed and opened again later was no pipeline between.
staged as (

    select
        versions.source,
        versions.opportunity_id,
        greatest(versions.day, lives.first_on) as first_day,
        coalesce(versions.next_day, lives.last_on + 1) as next_day,
        coalesce(stages.label, versions.stage) as stage,
        cast(coalesce(stages.probability, lives.probability) as decimal(9, 4)) as probability,
        try_cast(versions.amount as decimal(18, 4)) as amount_local,
        try_cast(versions.close_date as date) as close_date,
        versions.owner_id,
        versions.forecast_category,
        case when versions.day < reopened.reopened_on and stages.outcome <> 'open' then stages.outcome end
            as closed_as,
        lag(closed_as) over (
            partition by versions.source, versions.opportunity_id order by versions.day
        ) as former_closed_as

    from versions
    inner join lives
        on versions.source = lives.source and versions.opportunity_id = lives.opportunity_id
    left join stages
        on
            versions.source = stages.source
            and lives.pipeline = stages.pipeline
            and versions.stage = stages.stage
    left join reopened
        on versions.source = reopened.source and versions.opportunity_id = reopened.opportunity_id

),

daily as (

    select
        * exclude (first_day, next_day, former_closed_as),
        cast(unnest(range(
            first_day, case when closed_as is null then next_day else least(next_day, first_day + 1) end,
            interval 1 day
        )) as date) as day

    from staged
    where closed_as is null or former_closed_as is null

),

-- A rep's team then is the one the quota was for; of several, the shortest period's.
owner_days as (

    select
        owner_id,
        cast(day as date) as day,
        arg_min(team, (period_end - period_start, quota_id)) as team

    from (
        select
            *,
            unnest(range(period_start, least(period_end, {{ last_day() }} + 1), interval 1 day)) as day

        from quotas
    )
    group by all

),

final as (

    select
        daily.day,
        daily.source,
        daily.opportunity_id,
        opportunities.account,
        opportunities.opportunity_type,
        daily.stage,
        daily.probability,
        case
            when daily.closed_as is not null then daily.closed_as
            when opportunities.closed_on > daily.day then 'open'
            else opportunities.outcome
        end as outcome,
        daily.amount_local,
        opportunities.currency,
        cast(
            case when opportunities.currency = '{{ var("currency") }}' then 1 else rates.rate end
            as decimal(18, 8)
        ) as rate,
        {{ cents(
            "daily.amount_local"
            ~ " * case when opportunities.currency = '" ~ var('currency') ~ "' then 1 else rates.rate end"
        ) }} as amount,
        daily.close_date,
        daily.owner_id,
        coalesce(owner_days.team, owners.team) as team,
        daily.forecast_category

    from daily
    inner join opportunities
        on daily.source = opportunities.source and daily.opportunity_id = opportunities.opportunity_id
    left join owner_days
        on daily.owner_id = owner_days.owner_id and daily.day = owner_days.day
    left join owners
        on daily.source = owners.source and daily.owner_id = owners.owner_id
    asof left join rates
        on opportunities.currency = rates.currency and daily.day >= rates.rate_date

)

select * from final
