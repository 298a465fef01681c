-- Open opportunities and paying accounts whose owner is missing or gone, and opportunities whose owner has no quota.
with owned as (
    select
        source,
        opportunity_id as record_id,
        'opportunity' as kind,
        owner_id,
        account,
        coalesce(amount_reporting, 0) as money_at_risk
    from gate_opportunities
    where outcome = 'open'
    union all
    select
        accounts.source,
        accounts.account_id,
        'account',
        accounts.owner_id,
        accounts.account,
        12 * sum(mrr.mrr_reporting)
    from gate_crm_accounts as accounts
    inner join gate_billing_accounts as customers
        on accounts.account = customers.account
    inner join gate_mrr_now as mrr
        on customers.source = mrr.source and customers.customer_id = mrr.customer_id
    group by all
    having sum(mrr.mrr_reporting) > 0
),

quotas as (
    select owner_id
    from finance.quotas
    cross join gate_run as run
    where
        not coalesce(is_deleted, false)
        and owner_id is not null
        and period_start <= cast(run.as_of - interval 1 microsecond as date)
        and period_end > cast(run.as_of - interval 1 microsecond as date)
),

judged as (
    select
        owned.*,
        case
            when owned.owner_id is null then 'nobody looks after it'
            when owners.owner_id is null or owners.is_deleted then 'no such user'
            when not owners.is_active then 'inactive user'
            when
                owned.kind = 'opportunity'
                and owned.owner_id not in (select owner_id from quotas)
                and exists (select 1 from quotas)
                then 'no quota'
        end as fault
    from owned
    left join crm.owners as owners
        on owned.source = owners.source and owned.owner_id = owners.owner_id
    where owned.source in (select source from crm.owners)
)

select
    kind || ' ' || record_id as key_left,
    coalesce('owner ' || owner_id, 'no owner') as value_left,
    fault as value_right,
    account,
    money_at_risk
from judged
where fault is not null
