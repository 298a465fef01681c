-- Records that end before they begin, or that are dated in the future.
select
    silo as silo_left,
    table_name || ' ' || record_id as key_left,
    earlier || ' ' || strftime(earlier_at, '%Y-%m-%d') as value_left,
    silo as silo_right,
    later || ' ' || strftime(later_at, '%Y-%m-%d') as value_right
from gate_dates
