-- Every step to the next, the bridge's MRR and the totals of the facts at both ends: sales' and the bank's.
with

walk as (

    select
        *,
        lag(contracted_arr, 1, 0) over (order by month) as previous

    from {{ ref('marts__revenue_walk') }}

),

bridge as (

    select * from {{ ref('marts__arr_bridge') }}

),

cash as (

    select cast(date_trunc('month', {{ local_date('attempted_at') }}) as date) as month, currency, amount
    from {{ ref('billing__payments') }}
    where status = 'succeeded' and not coalesce(is_deleted, false) and attempted_at < {{ as_of() }}
    union all
    select cast(date_trunc('month', {{ local_date('refunded_at') }}) as date), currency, -amount
    from {{ ref('billing__refunds') }}
    where not coalesce(is_deleted, false) and refunded_at < {{ as_of() }}

),

cash_by_month as (

    select cash.month, sum(cash.amount * rates.rate) as amount
    from cash
    inner join {{ ref('core__closing_rates') }} as rates
        on cash.month = rates.month and {{ currency_or_reporting('cash.currency') }} = rates.currency
    group by all

),

sales as (

    select period_start as month, numerator as won_revenue
    from {{ ref('marts__kpi_values') }}
    where kpi = 'won_revenue' and period = 'month' and segment = 'all'

)

select month, 'bookings to contracted ARR' as what, contracted_before as opening, contracted_arr as closing
from walk
where contracted_before + {{ bookings_to_arr() | join(' + ') }} <> contracted_arr
union all
select month, 'a month begins where the last one ended', contracted_before, previous
from walk
where contracted_before <> previous
union all
select month, 'contracted ARR to MRR', contracted_arr, mrr
from walk
where contracted_arr + signed_not_live <> 12 * mrr
{%- set above = ['mrr'] %}
{%- for part in mrr_to_cash() %}
union all
select month, '{{ above[0] }} to {{ part.subtotal }}', {{ above[0] }}, {{ part.subtotal }}
from walk
where {{ above[0] }} + {{ part.steps | join(' + ') }} <> {{ part.subtotal }}
{%- set _ = above.insert(0, part.subtotal) %}
{%- endfor %}
union all
select month, 'MRR of the bridge', bridge.closing, walk.mrr
from walk
full join bridge using (month)
where coalesce(walk.mrr, 0) <> coalesce(bridge.closing, 0)
union all
select month, 'won revenue', sales.won_revenue, walk.bookings
from walk
full join sales using (month)
where coalesce(walk.bookings, 0) <> coalesce(sales.won_revenue, 0)
union all
-- Cents are rounded by account and currency.
select month, 'payments less refunds', cash_by_month.amount, walk.cash
from walk
full join cash_by_month using (month)
where
    abs(coalesce(walk.cash, 0) - coalesce(cash_by_month.amount, 0)) > 0.01 * (
        select 1 + count(*)
        from {{ ref('core__revenue_walk') }} as accounts
        where accounts.month = walk.month
    )
