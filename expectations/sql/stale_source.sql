-- Sources whose newest record is older than they may be: than revops.toml says, or else than twice the longest silence of
-- their last three months and of this season a year ago.
with silences as (
    select source, max(silence) as longest
    from (
        select
            days.source, days.day - lag(days.day) over (partition by days.source order by days.day) as silence,
            date_diff('day', days.day, run.as_of) as days_ago
        from gate_record_days as days
        cross join gate_run as run
    )
    where days_ago < 90 or days_ago between 335 and 395
    group by source
    having count(*) >= 20
),

limits as (
    select
        sources.silo, sources.source, silences.longest, sources.max_age_days is not null as is_agreed,
        coalesce(
            sources.max_age_days, case when silences.longest is not null then greatest(3, 2 * silences.longest) end
        ) as most_days
    from gate_sources as sources
    left join silences on sources.source = silences.source
)

select
    limits.silo as silo_left,
    limits.source as key_left,
    coalesce('newest record ' || strftime(newest.recorded_at, '%Y-%m-%d'), 'no record at all') as value_left,
    case
        when limits.is_agreed then 'at most ' || limits.most_days || ' days old'
        else 'never more than ' || limits.longest || ' days without one before'
    end as value_right,
    newest.recorded_at + to_days(cast(limits.most_days as integer)) as grace_until
from limits
cross join gate_run as run
left join (select source, max(recorded_at) as recorded_at from gate_records group by source) as newest
    on limits.source = newest.source
where
    limits.most_days is not null
    and coalesce(newest.recorded_at + to_days(cast(limits.most_days as integer)) < run.as_of, true)
