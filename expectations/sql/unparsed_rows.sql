-- Values of file sources that the mapping could not convert; their rows are kept without them.
select
    silo as silo_left,
    source || ' ' || table_name || '.' || column_name || ' ' || row_key as key_left,
    'not converted' as value_left,
    cast(null as text) as key_right,
    cast(null as text) as value_right,
    cast(null as text) as account,
    cast(null as decimal(18, 4)) as money_at_risk,
    cast(null as timestamptz) as grace_until
from gate_unparsed
