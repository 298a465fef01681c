-- Values of file sources that the mapping could not convert; their rows are kept without them.
select
    silo as silo_left,
    source || ' ' || table_name || '.' || column_name || ' ' || row_key as key_left,
    'not converted' as value_left
from gate_unparsed
