-- Every subscription's MRR arrives at an account, and the bridge closes at what they sum to: nothing is lost
-- or doubled between subscription, account and reporting currency.
with

subscription_mrr as (

    select
        month,
        currency,
        sum(mrr) as mrr

    from {{ ref('core__subscription_mrr') }}
    group by all

),

account_mrr as (

    select
        month,
        currency,
        sum(mrr) as mrr

    from {{ ref('core__account_mrr') }}
    group by all

),

converted as (

    select
        accounts.month,
        sum({{ cents('accounts.mrr * rates.rate') }}) as mrr

    from {{ ref('core__account_mrr') }} as accounts
    inner join {{ ref('core__closing_rates') }} as rates
        on accounts.month = rates.month and accounts.currency = rates.currency
    group by all

),

closings as (

    select
        month,
        sum(closing) as mrr

    from {{ ref('core__mrr_monthly') }}
    group by all
    having sum(closing) <> 0

)

select
    coalesce(subscription_mrr.month, account_mrr.month) as month,
    coalesce(subscription_mrr.currency, account_mrr.currency) as currency,
    subscription_mrr.mrr as sum_below,
    account_mrr.mrr as sum_here
from subscription_mrr
full join account_mrr
    on subscription_mrr.month = account_mrr.month and subscription_mrr.currency = account_mrr.currency
where subscription_mrr.mrr is distinct from account_mrr.mrr

union all

select
    coalesce(converted.month, closings.month),
    '{{ var("currency") }}',
    converted.mrr as sum_below,
    closings.mrr as sum_here
from converted
full join closings
    on converted.month = closings.month
where converted.mrr is distinct from closings.mrr
