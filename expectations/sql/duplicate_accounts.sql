-- Companies that one CRM holds more than once: the same domain, tax id or billing customer.
with marks as (
    select source, account_id, account, created_at, 'domain' as mark, 1 as strength, shared_domain as value
    from gate_crm_accounts
    where shared_domain is not null
    union all
    select source, account_id, account, created_at, 'tax id', 2, upper(trim(tax_id))
    from gate_crm_accounts
    where trim(tax_id) <> ''
    union all
    select source, account_id, account, created_at, 'billing customer', 3, billing_customer_id
    from gate_crm_accounts
    where trim(billing_customer_id) <> ''
),

ranked as (
    select
        *,
        first_value(account_id) over records as oldest_id,
        row_number() over records as position
    from marks
    window records as (partition by source, account, mark, value order by created_at, length(account_id), account_id)
)

select
    oldest_id as key_left,
    'first record of this ' || mark as value_left,
    account_id as key_right,
    'same ' || mark as value_right,
    account,
    cast(0 as decimal(18, 4)) as money_at_risk,
    cast(null as timestamptz) as grace_until
from ranked
where position > 1
qualify row_number() over (partition by source, account_id order by strength) = 1
