{{ config(materialized = 'kept', kept_by = ['source', 'opportunity_id']) }}
{%- set movements = [
    'new', 'pulled_in', 'reopened', 'amount_up', 'amount_down', 'pushed_out', 'won', 'lost', 'fx', 'transferred'
] -%}
with

pipeline_daily as (

    select * from {{ ref('marts__pipeline_daily') }} {{ unless_kept() }}

),

pipeline as (

    select
        *,
        struct_pack(
            outcome := outcome, close_date := close_date, amount_local := amount_local, amount := amount,
            owner_id := owner_id, team := team
        ) as state,
        lag(state) over (partition by source, opportunity_id order by day) as former

    from pipeline_daily

),

calendar as (

    select
        *,
        least(period_end - 1, {{ last_day() }}) as last_day

    from {{ ref('core__calendar') }}

),

-- Periods that end before the one that is not over look the same from any later instant.
fingerprints as (  -- noqa: ST03

    select
        source,
        opportunity_id,
        hash(
            sum(hash(day, account, outcome, amount_local, rate, amount, close_date, owner_id, team)),
            (select min(calendar.period_start) from calendar),
            case
                when not {{ fiscal_period(3, 'max(day)') }} < {{ fiscal_period(3, last_day()) }}
                    then {{ as_of() }}
            end
        ) as fingerprint

    from pipeline_daily
    group by source, opportunity_id

),

-- Days on which nothing changes, no period begins and none ends add nothing.
eventful as (

    select
        pipeline.*,
        pipeline.former.outcome as former_outcome,
        pipeline.former.close_date as former_close_date,
        pipeline.former.amount_local as former_amount_local,
        pipeline.former.amount as former_amount,
        pipeline.former.owner_id as former_owner_id,
        pipeline.former.team as former_team

    from pipeline
    where
        pipeline.former is null
        or pipeline.former <> pipeline.state
        or pipeline.outcome <> 'open'
        or day(pipeline.day) = 1
        or day(pipeline.day + 1) = 1
        or pipeline.day = {{ last_day() }}

),

placed as (

    select
        *,
        unnest([
            {'period': 'month', 'period_start': cast(date_trunc('month', day) as date)},
            {'period': 'quarter', 'period_start': {{ fiscal_period(3, 'day') }}}
        ], recursive := true)

    from eventful

),

-- Each day against the one before it: was it due in the period, and is it still?
days as (

    select
        placed.period,
        placed.period_start,
        placed.source,
        placed.opportunity_id,
        placed.account,
        placed.outcome,
        placed.former_outcome,
        coalesce(placed.amount, 0) as amount,
        placed.former_amount,
        coalesce(
            {{ cents('cast(placed.former_amount_local as decimal(20, 4)) * placed.rate') }}, 0
        ) as former_amount_now,
        coalesce(placed.owner_id, '(none)') as owner_id,
        coalesce(placed.team, '(none)') as team,
        coalesce(placed.former_owner_id, '(none)') as former_owner_id,
        coalesce(placed.former_team, '(none)') as former_team,
        placed.day = placed.period_start as is_first,
        placed.day = calendar.last_day as is_last,
        calendar.is_complete,
        coalesce(
            placed.outcome = 'open'
            and placed.close_date >= calendar.period_start and placed.close_date < calendar.period_end, false
        ) as is_due,
        coalesce(
            placed.former_outcome = 'open'
            and placed.former_close_date >= calendar.period_start
            and placed.former_close_date < calendar.period_end, false
        ) as was_due

    from placed
    inner join calendar
        on placed.period = calendar.period and placed.period_start = calendar.period_start

),

-- What did not close in its period has slipped, whatever its date says by then.
ends as (

    select
        period,
        period_start,
        source,
        opportunity_id,
        bool_or(is_last and outcome = 'open' and (is_complete or not is_due)) as is_slipped

    from days
    group by all

),

moved as (

    select
        *,
        case
            when was_due then 'stayed'
            when former_outcome is null then 'new'
            when former_outcome = 'open' then 'pulled_in'
            else 'reopened'
        end as entry,
        was_due and (owner_id <> former_owner_id or team <> former_team) as is_transferred

    from days
    where was_due or is_due or outcome <> 'open'

),

parts as (

    select
        period,
        period_start,
        source,
        opportunity_id,
        account,
        owner_id,
        team,
        cast(0 as decimal(18, 2)) as opening,
        {%- for entry in ['new', 'pulled_in', 'reopened'] %}
        case when entry = '{{ entry }}' then amount else 0 end as {{ entry }},
        {%- endfor %}
        case when was_due then greatest(amount - former_amount_now, 0) else 0 end as amount_up,
        case when was_due then least(amount - former_amount_now, 0) else 0 end as amount_down,
        case when was_due and outcome = 'open' and not is_due then -amount else 0 end as pushed_out,
        case when outcome = 'won' then -amount else 0 end as won,
        case when outcome = 'lost' then -amount else 0 end as lost,
        case when was_due then former_amount_now - coalesce(former_amount, 0) else 0 end as fx,
        case when is_transferred then coalesce(former_amount, 0) else 0 end as transferred,
        case when is_due and is_last then amount else 0 end as closing,
        0 as due,
        0 as due_with_amount

    from moved

    union all by name

    select
        period,
        period_start,
        source,
        opportunity_id,
        account,
        former_owner_id as owner_id,
        former_team as team,
        case when is_first then coalesce(former_amount, 0) else 0 end as opening,
        case when is_transferred then -coalesce(former_amount, 0) else 0 end as transferred,
        cast(is_first as integer) as due,
        cast(is_first and former_amount is not null as integer) as due_with_amount

    from moved
    where was_due and (is_first or is_transferred)

),

summed as (

    select
        period,
        period_start,
        source,
        opportunity_id,
        account,
        owner_id,
        team,
        {%- for column in ['opening'] + movements + ['closing'] %}
        cast(sum({{ column }}) as decimal(18, 2)) as "{{ column }}",
        {%- endfor %}
        cast(sum(due) as integer) as due,
        cast(sum(due_with_amount) as integer) as due_with_amount

    from parts
    group by all

),

final as (

    select
        summed.*,
        case when ends.is_slipped then summed.due else 0 end as slipped,
        case when ends.is_slipped then summed.opening else 0 end as slipped_value

    from summed
    inner join ends
        on
            summed.period = ends.period
            and summed.period_start = ends.period_start
            and summed.source = ends.source
            and summed.opportunity_id = ends.opportunity_id

)

select * from final
