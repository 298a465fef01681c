-- Pairs of records that may be one company or person; nobody has decided yet.
select
    left_record as key_left,
    concat_ws(', ', method, evidence) as value_left,
    right_record as key_right,
    coalesce('kept apart: ' || why, 'score ' || round(score, 2)) as value_right,
    account,
    cast(0 as decimal(18, 4)) as money_at_risk,
    left_silo as silo_left,
    right_silo as silo_right
from gate_candidates
