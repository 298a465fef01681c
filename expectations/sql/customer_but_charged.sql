-- Companies that no CRM record calls a customer any more and that billing charges on, although nobody ended it.
with former as (
    select
        account,
        min(account_id) as account_id
    from gate_crm_accounts
    group by account
    having bool_or(lifecycle_stage = 'other') and not bool_or(lifecycle_stage = 'customer')
),

charged as (
    select
        subscriptions.account,
        min(subscriptions.customer_id) as customer_id,
        sum(mrr.mrr_reporting) as mrr
    from gate_spans as subscriptions
    inner join gate_mrr_now as mrr
        on
            subscriptions.source = mrr.source
            and subscriptions.subscription_id = mrr.subscription_id
    inner join billing.subscriptions as contracts
        on
            subscriptions.source = contracts.source
            and subscriptions.subscription_id = contracts.subscription_id
    cross join gate_run as run
    where
        contracts.cancel_at is null
        and contracts.canceled_at is null
        and contracts.started_at + interval 7 day < run.as_of
        and coalesce(subscriptions.until_at >= run.as_of, true)
    group by subscriptions.account
)

select
    former.account_id as key_left,
    'lifecycle other' as value_left,
    charged.customer_id as key_right,
    'pays ' || cast(charged.mrr as decimal(18, 2)) || ' ' || run.currency || ' a month' as value_right,
    former.account,
    12 * charged.mrr as money_at_risk
from former
inner join charged
    on former.account = charged.account
cross join gate_run as run
where charged.mrr > 0
