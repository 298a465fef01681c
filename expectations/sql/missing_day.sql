-- Days of the last week on which nothing came, or less than half where that cannot be chance, against the poorest of the
-- eight same weekdays before.
with calendar as (
    select
        cast(unnest(
            generate_series(as_of - interval 64 day, as_of - interval 1 day, interval 1 day)
        ) as date) as day,
        cast(as_of as date) - 7 as since
    from gate_run
),

days as (
    select
        tables.*,
        calendar.day,
        calendar.since,
        coalesce(counts.records, 0) as records
    from (select distinct silo, table_name, source from gate_daily_rows) as tables
    cross join calendar
    left join gate_daily_rows as counts
        on
            tables.source = counts.source
            and tables.table_name = counts.table_name
            and calendar.day = counts.day
),

weekdays as (
    select
        *,
        min(records) over (
            partition by source, table_name, dayofweek(day) order by day
            rows between 8 preceding and 1 preceding
        ) as fewest
    from days
)

select
    silo as silo_left,
    source || ' ' || table_name || ' ' || strftime(day, '%Y-%m-%d') as key_left,
    records || ' row(s)' as value_left,
    silo as silo_right,
    'never under ' || fewest || ' on this weekday' as value_right
from weekdays
where day >= since and ((records = 0 and fewest >= 10) or (2 * records < fewest and fewest >= 100))
