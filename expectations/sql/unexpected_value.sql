-- Values outside the list that the silo contract allows.
select
    silo as silo_left,
    field || ' ' || coalesce(value, '(empty)') as key_left,
    records || ' row(s) of ' || source as value_left,
    'expected ' || allowed as value_right
from gate_strange_values
