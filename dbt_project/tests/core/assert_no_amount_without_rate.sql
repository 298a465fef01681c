-- A currency in use without a rate would make its revenue vanish from every total, without any error.
with

needed as (

    select
        month,
        currency,
        'MRR of ' || account as used_for

    from {{ ref('core__account_mrr') }}

    union all

    -- What was open at the month's beginning is measured at its closing rate, too.
    select
        calendar.period_start,
        account_mrr.currency,
        'opening MRR of ' || account_mrr.account

    from {{ ref('core__account_mrr') }} as account_mrr
    inner join {{ ref('core__calendar') }} as calendar
        on
            calendar.period = 'month'
            and calendar.period_start = cast(account_mrr.month + interval 1 month as date)

),

rates as (

    select * from {{ ref('core__closing_rates') }}

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

)

select
    needed.month,
    needed.currency,
    needed.used_for
from needed
anti join rates
    on needed.month = rates.month and needed.currency = rates.currency

union all

select
    coalesce(closed_on, created_on),
    currency,
    'opportunity ' || opportunity_id
from opportunities
where amount_local is not null and amount is null
