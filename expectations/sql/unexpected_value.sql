-- Values outside the list that the silo contract allows.
select
    silo as silo_left,
    field || ' ' || coalesce(value, '(empty)') as key_left,
    records || ' row(s) of ' || source as value_left,
    'expected ' || allowed as value_right
from gate_strange_values
union all
select
    silo_left,
    source || ' ' || subject,
    case kind when 'filled' then 'filled in ' else '' end || met || ' of ' || records
    || case scope when 'recent' then ' row(s) of the last week' else ' row(s)' end,
    'usually ' || round(100 * usual, 1) || ' %'
from gate_coverage_drops
where kind in ('filled', 'share')
