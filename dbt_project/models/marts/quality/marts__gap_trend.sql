{%- set group = ['owner_team', 'silo_left', 'silo_right', 'gap_type', 'severity'] -%}
with

silo_gaps as (

    select * from {{ ref('marts__silo_gaps') }}

),

-- What a run finds at midnight is of the day before, as everything else that it shows.
gaps as (

    select
        owner_team,
        coalesce(silo_left, '(none)') as silo_left,
        coalesce(silo_right, '(none)') as silo_right,
        gap_type,
        severity,
        coalesce(money_at_risk, 0) as money_at_risk,
        reopened > 0 as has_come_back,
        {{ local_date("first_seen_at - interval 1 microsecond") }} as first_seen_on,
        case
            when resolved_at <= {{ as_of() }} then {{ local_date("resolved_at - interval 1 microsecond") }}
        end as resolved_on

    from silo_gaps
    where first_seen_at <= {{ as_of() }}

),

span as (

    select
        date_trunc('week', min(first_seen_on)) as first_week,
        cast(date_trunc('week', {{ last_day() }}) as date) as last_week

    from gaps

),

mondays as (

    select cast(unnest(generate_series(first_week, last_week, interval 7 day)) as date) as week
    from span

),

weeks as (

    select
        week,
        least(week + 6, {{ last_day() }}) as last_day,
        least({{ local_midnight('week + 7') }}, {{ as_of() }}) as ends_at

    from mondays

),

kinds as (

    select
        {{ group | join(', ') }},
        date_trunc('week', min(first_seen_on)) as first_week,
        row_number() over (order by {{ group | join(', ') }}) as kind

    from gaps
    group by {{ group | join(', ') }}

),

numbered as (

    select
        kinds.kind,
        gaps.first_seen_on,
        gaps.resolved_on,
        gaps.money_at_risk,
        gaps.has_come_back,
        date_trunc('week', gaps.first_seen_on) as from_week,
        coalesce(date_trunc('week', gaps.resolved_on), span.last_week) as to_week

    from gaps
    cross join span
    inner join kinds
        on
            gaps.owner_team = kinds.owner_team
            and gaps.silo_left = kinds.silo_left
            and gaps.silo_right = kinds.silo_right
            and gaps.gap_type = kinds.gap_type
            and gaps.severity = kinds.severity

),

-- Each gap in every week it lived in; kinds have numbers, because these are many rows.
lived as (

    select
        * exclude (from_week, to_week),
        cast(unnest(generate_series(from_week, to_week, interval 7 day)) as date) as week

    from numbered

),

judged as (

    select
        lived.kind,
        lived.week,
        lived.money_at_risk,
        lived.has_come_back,
        lived.first_seen_on >= lived.week as is_opened,
        coalesce(lived.resolved_on <= weeks.last_day, false) as is_resolved,
        weeks.last_day - lived.first_seen_on as age_days

    from lived
    inner join weeks
        on lived.week = weeks.week

),

counted as (

    select
        kind,
        week,
        count(*) filter (where is_opened) as opened,
        count(*) filter (where is_opened and has_come_back) as reopened,
        count(*) filter (where is_resolved) as resolved,
        count(*) filter (where not is_resolved) as open,
        sum(money_at_risk) filter (where is_opened) as opened_money,
        sum(money_at_risk) filter (where is_resolved) as resolved_money,
        sum(money_at_risk) filter (where not is_resolved) as money_at_risk,
        quantile_disc(age_days, 0.5) filter (where not is_resolved) as median_age_days,
        max(age_days) filter (where not is_resolved) as oldest_age_days

    from judged
    group by kind, week

),

-- Every kind of gap in every week since its first, also where nothing happened.
final as (

    select
        weeks.week,
        weeks.ends_at,
        {% for column in group -%}
        kinds.{{ column }},
        {% endfor -%}
        coalesce(counted.opened, 0) as opened,
        coalesce(counted.reopened, 0) as reopened,
        coalesce(counted.resolved, 0) as resolved,
        coalesce(counted.open, 0) as open,
        cast(coalesce(counted.opened_money, 0) as decimal(18, 2)) as opened_money,
        cast(coalesce(counted.resolved_money, 0) as decimal(18, 2)) as resolved_money,
        cast(coalesce(counted.money_at_risk, 0) as decimal(18, 2)) as money_at_risk,
        counted.median_age_days,
        counted.oldest_age_days

    from kinds
    inner join weeks
        on kinds.first_week <= weeks.week
    left join counted
        on kinds.kind = counted.kind and weeks.week = counted.week

)

select * from final
