-- Days of the last week, and all of it, in which far less came than is usual there on these weekdays; and tables with
-- far fewer rows than the run before saw. Usual is the mean of the eight weeks before, less what the same week brought
-- less a year ago. Chance is what these weeks show of it.
with calendar as (
    select
        cast(unnest(generate_series(as_of - interval 428 day, as_of - interval 1 day, interval 1 day)) as date) as day,
        cast(as_of as date) as today
    from gate_run
),

tables as (
    select distinct silo, source, table_name from gate_daily_rows
),

by_table as (
    select
        tables.silo, tables.source, tables.table_name, calendar.day,
        coalesce(counts.records, 0) as records,
        (calendar.today - calendar.day - 1) // 7 as weeks_ago
    from tables
    cross join calendar
    left join gate_daily_rows as counts
        on tables.source = counts.source and tables.table_name = counts.table_name and calendar.day = counts.day
),

-- A source that returns a part of everything shows in all its tables together before it does in any.
days as (
    select * from by_table
    union all
    select silo, source, 'all tables' as table_name, day, sum(records) as records, any_value(weeks_ago) as weeks_ago
    from by_table
    group by silo, source, day
    having count(*) > 1
),

-- Week 52 is the one that began 364 days before this one: the same weekdays of a year ago.
seasons as (
    select
        source, table_name,
        sum(records) filter (weeks_ago = 52) as last_year,
        sum(records) filter (weeks_ago between 53 and 60) / 8 as before_that
    from days
    group by all
),

weekdays as (
    select
        days.source, days.table_name, dayofweek(days.day) as weekday,
        min(days.records) as fewest,
        avg(days.records) as mean,
        sum(pow(days.records - means.mean, 2)) as squares
    from days
    inner join (
        select source, table_name, dayofweek(day) as weekday, avg(records) as mean
        from days
        where weeks_ago between 1 and 8
        group by all
    ) as means
        on
            days.source = means.source
            and days.table_name = means.table_name
            and dayofweek(days.day) = means.weekday
    where days.weeks_ago between 1 and 8
    group by all
),

usual as (
    select
        weekdays.source, weekdays.table_name,
        sum(weekdays.mean) as weekly,
        -- How much more than Poisson's the days differ.
        greatest(1, sum(weekdays.squares) / 49 / nullif(sum(weekdays.mean) / 7, 0)) as spread,
        any_value(case
            when seasons.before_that >= 20 then least(1, seasons.last_year / seasons.before_that) else 1
        end) as season
    from weekdays
    left join seasons on weekdays.source = seasons.source and weekdays.table_name = seasons.table_name
    group by all
),

weeks as (
    select
        source, table_name,
        sum(records) filter (weeks_ago = 0) as records,
        any_value(silo) as silo
    from days
    group by all
),

week_deviations as (
    select source, table_name, stddev_samp(records) as deviation
    from (
        select source, table_name, weeks_ago, sum(records) as records
        from days
        where weeks_ago between 1 and 8
        group by all
    )
    group by all
)

select
    days.silo as silo_left,
    days.source || ' ' || days.table_name || ' ' || strftime(days.day, '%Y-%m-%d') as key_left,
    days.records || ' row(s)' as value_left,
    days.silo as silo_right,
    'usually ' || cast(round(usual.season * weekdays.mean) as integer) || ' on this weekday' as value_right
from days
inner join usual on days.source = usual.source and days.table_name = usual.table_name
inner join weekdays
    on
        days.source = weekdays.source
        and days.table_name = weekdays.table_name
        and dayofweek(days.day) = weekdays.weekday
where
    days.weeks_ago = 0
    and days.table_name <> 'all tables'
    and (
        (days.records = 0 and usual.season * weekdays.fewest >= 10)
        or (
            days.records < 0.65 * usual.season * weekdays.mean
            and days.records
            < usual.season * weekdays.mean - 4 * sqrt(usual.spread * usual.season * weekdays.mean)
        )
    )
union all
select
    weeks.silo,
    weeks.source || ' ' || weeks.table_name || ' of the last week',
    weeks.records || ' row(s) in the seven days before ' || strftime(run.as_of, '%Y-%m-%d'),
    weeks.silo,
    'usually ' || cast(round(usual.season * usual.weekly) as integer) || ' a week'
from weeks
cross join gate_run as run
inner join usual on weeks.source = usual.source and weeks.table_name = usual.table_name
inner join week_deviations as spread
    on weeks.source = spread.source and weeks.table_name = spread.table_name
where
    weeks.records < 0.65 * usual.season * usual.weekly
    and weeks.records < usual.season * usual.weekly - 4 * greatest(
        sqrt(usual.spread * usual.season * usual.weekly), spread.deviation
    )
union all
select
    silo,
    source || ' ' || table_name,
    rows_now || ' row(s)',
    silo,
    former_rows || ' on ' || strftime(former_as_of, '%Y-%m-%d')
from gate_fewer_rows
where former_rows >= 20 and rows_now < 0.85 * former_rows
