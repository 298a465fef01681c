-- Records that others refer to and that did not arrive.
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
