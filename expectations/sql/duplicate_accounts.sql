-- Companies that one CRM holds more than once: records that are one account, whatever shows that they are.
with ranked as (
    select
        *,
        first_value(account_id) over records as oldest_id,
        row_number() over records as position
    from gate_crm_accounts
    where account is not null
    window records as (partition by source, account order by created_at, length(account_id), account_id)
)

select
    oldest_id as key_left,
    'first record of this company' as value_left,
    account_id as key_right,
    'same by ' || replace(method, '_', ' ') as value_right,
    account,
    cast(0 as decimal(18, 4)) as money_at_risk
from ranked
where position > 1
