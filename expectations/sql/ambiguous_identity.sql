-- Pairs of records that may be one company or person; nobody has decided yet. A customer whom the CRM names at another
-- company's account is a contradicting id.
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
where not exists (
    select 1
    from gate_crm_accounts as crm
    inner join gate_billing_accounts as customers
        on crm.billing_customer_id = customers.customer_id
    where
        gate_candidates.left_record = 'billing:' || customers.source || ':' || customers.customer_id
        and gate_candidates.right_record = 'crm:' || crm.source || ':' || crm.account_id
        and crm.account <> customers.account
)
