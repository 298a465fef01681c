-- Sources whose newest record is older than they may be.
select
    sources.silo as silo_left,
    sources.source as key_left,
    coalesce('newest record ' || strftime(newest.recorded_at, '%Y-%m-%d'), 'no record at all') as value_left,
    'at most ' || sources.max_age_days || ' days old' as value_right,
    newest.recorded_at + to_days(sources.max_age_days) as grace_until
from gate_sources as sources
cross join gate_run as run
left join (select source, max(recorded_at) as recorded_at from gate_records group by source) as newest
    on sources.source = newest.source
where
    sources.max_age_days is not null
    and coalesce(newest.recorded_at + to_days(sources.max_age_days) < run.as_of, true)
