-- A month of an account has one kind of movement besides fx, with the sign of its kind: gains add, losses
-- subtract.
select
    month,
    account
from {{ ref('core__mrr_monthly') }}
where
    cast("new" <> 0 as integer) + cast(reactivation <> 0 as integer) + cast(expansion <> 0 as integer)
    + cast(contraction <> 0 as integer) + cast(churn <> 0 as integer) > 1
    or least("new", reactivation, expansion, opening, closing) < 0
    or greatest(contraction, churn) > 0
    or (is_involuntary and churn = 0)
