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
        date_trunc('week', {{ last_day() }}) as last_week

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
        date_trunc('week', min(first_seen_on)) as first_week

    from gaps
    group by all

),

-- Each kind of gap in every week since its first, also where nothing happened.
lived as (

    select
        weeks.week,
        weeks.ends_at,
        {% for column in group -%}
        kinds.{{ column }},
        {% endfor -%}
        gaps.money_at_risk,
        gaps.has_come_back,
        coalesce(gaps.first_seen_on >= weeks.week, false) as is_opened,
        coalesce(gaps.resolved_on <= weeks.last_day, false) as is_resolved,
        gaps.first_seen_on is not null and coalesce(gaps.resolved_on > weeks.last_day, true) as is_open,
        weeks.last_day - gaps.first_seen_on as age_days

    from weeks
    inner join kinds
        on weeks.week >= kinds.first_week
    left join gaps
        on
            {% for column in group -%}
            kinds.{{ column }} = gaps.{{ column }}
            and {% endfor -%}
            weeks.last_day >= gaps.first_seen_on
            and coalesce(weeks.week <= gaps.resolved_on, true)

),

final as (

    select
        week,
        ends_at,
        {{ group | join(', ') }},
        count(*) filter (where is_opened) as opened,
        count(*) filter (where is_opened and has_come_back) as reopened,
        count(*) filter (where is_resolved) as resolved,
        count(*) filter (where is_open) as open,
        cast(coalesce(sum(money_at_risk) filter (where is_opened), 0) as decimal(18, 2)) as opened_money,
        cast(coalesce(sum(money_at_risk) filter (where is_resolved), 0) as decimal(18, 2)) as resolved_money,
        cast(coalesce(sum(money_at_risk) filter (where is_open), 0) as decimal(18, 2)) as money_at_risk,
        quantile_disc(age_days, 0.5) filter (where is_open) as median_age_days,
        max(age_days) filter (where is_open) as oldest_age_days

    from lived
    group by all

)

select * from final
