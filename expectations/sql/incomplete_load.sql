-- Records that others refer to and that did not arrive, and tables with other counts than their source. A count may
-- differ by what was created or deleted between the source's count and the reading: two rows, or one in a thousand.
select
    silo as silo_left,
    child || ' ' || missing_id as key_left,
    records || ' row(s) of ' || source || ' refer to it' as value_left,
    silo as silo_right,
    cast(null as text) as key_right,
    'absent from ' || parent as value_right,
    cast(null as text) as account,
    cast(null as decimal(18, 4)) as money_at_risk,
    cast(null as timestamptz) as grace_until
from gate_missing_parents
union all
select
    silo,
    source || ' ' || table_name,
    our_rows || ' row(s) here',
    silo,
    null,
    source_rows || ' counted by the source',
    null,
    null,
    null
from gate_counts
where abs(our_rows - source_rows) > greatest(2, source_rows // 1000)
union all
-- Every value may be valid, and still half of what must meet something here no longer does.
select
    silo_left,
    source || ' ' || subject,
    met || ' of ' || records || case scope when 'recent' then ' of the last week' else '' end,
    silo_right,
    null,
    case when is_unusual then 'usually ' || round(100 * usual, 1) else 'at least ' || round(100 * at_least, 1) end
    || ' %',
    null,
    null,
    null
from gate_coverage_drops
where kind = 'seam'
