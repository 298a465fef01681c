-- Accounts of our own, or made to try something out, that KPIs count.
with own as (
    select mode(split_part(lower(trim(email)), '@', 2)) as domain
    from crm.owners
    where is_active and email like '%@%'
),

counted as (
    select
        account,
        sum(amount) as amount
    from (
        select
            customers.account,
            12 * mrr.mrr_reporting as amount
        from gate_billing_accounts as customers
        inner join gate_mrr_now as mrr
            on customers.source = mrr.source and customers.customer_id = mrr.customer_id
        union all
        select
            account,
            coalesce(amount_reporting, 0)
        from gate_opportunities
        where outcome = 'open'
    ) as amounts
    where account is not null
    group by account
)

select
    accounts.account_id as key_left,
    case when accounts.domain = own.domain then 'our own domain' else 'called like a test' end as value_left,
    'counted in KPIs' as value_right,
    accounts.account,
    counted.amount as money_at_risk
from gate_crm_accounts as accounts
cross join own
inner join counted
    on accounts.account = counted.account
where
    lower(accounts.domain) = own.domain
    or regexp_matches(
        lower(trim(accounts.name)),
        '^(test|demo|dummy|sandbox)( ?(account|company|customer|inc|ltd|llc|gmbh))?\.?( ?[0-9]+)?$'
    )
