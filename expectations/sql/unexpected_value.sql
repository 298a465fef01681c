-- Values outside the list that the silo contract allows.
select
    silo as silo_left,
    field || ' ' || coalesce(value, '(empty)') as key_left,
    records || ' row(s) of ' || source as value_left,
    cast(null as text) as key_right,
    'expected ' || allowed as value_right,
    cast(null as text) as account,
    cast(null as decimal(18, 4)) as money_at_risk,
    cast(null as timestamptz) as grace_until
from gate_strange_values
