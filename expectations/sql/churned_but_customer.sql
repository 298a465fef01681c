-- Companies that left billing and are still called customers by the CRM.
with ended as (
    select
        customers.account,
        max(subscriptions.ended_at) as ended_at,
        arg_max(subscriptions.customer_id, subscriptions.ended_at) as customer_id,
        bool_or(
            (subscriptions.ended_at is null or subscriptions.ended_at >= run.as_of)
            and (
                subscriptions.status in ('trialing', 'paused')
                or subscriptions.trial_end >= run.as_of
                or pauses.subscription_id is not null
            )
        ) as waits
    from billing.subscriptions as subscriptions
    inner join gate_billing_accounts as customers
        on subscriptions.source = customers.source and subscriptions.customer_id = customers.customer_id
    cross join gate_run as run
    left join (
        select distinct pauses.source, pauses.subscription_id
        from billing.subscription_pauses as pauses
        cross join gate_run as run
        where pauses.paused_at < run.as_of and (pauses.resumed_at is null or pauses.resumed_at >= run.as_of)
    ) as pauses
        on
            subscriptions.source = pauses.source
            and subscriptions.subscription_id = pauses.subscription_id
    group by customers.account
),

last_paid as (
    select account, arg_max(closing, month) as mrr
    from gate_account_months
    where closing > 0
    group by account
)

select
    ended.customer_id as key_left,
    'service ended ' || strftime(ended.ended_at, '%Y-%m-%d') as value_left,
    accounts.account_id as key_right,
    'lifecycle customer' as value_right,
    accounts.account,
    12 * last_paid.mrr as money_at_risk,
    ended.ended_at + interval 7 day as grace_until
from gate_crm_accounts as accounts
inner join ended on accounts.account = ended.account
inner join last_paid on accounts.account = last_paid.account
cross join gate_run as run
where
    accounts.lifecycle_stage = 'customer'
    and not ended.waits
    and ended.ended_at + interval 7 day < run.as_of
    and not exists (
        select 1
        from gate_mrr_now as mrr
        inner join gate_billing_accounts as customers
            on mrr.source = customers.source and mrr.customer_id = customers.customer_id
        where customers.account = accounts.account and mrr.mrr_reporting > 0
    )
