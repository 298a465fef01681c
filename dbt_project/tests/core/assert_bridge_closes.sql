-- Opening plus every movement is closing, and a closing is the next month's opening, for every account.
-- A mart that sums these rows cannot close if they do not.
with

mrr_monthly as (

    select * from {{ ref('core__mrr_monthly') }}

),

calendar as (

    select * from {{ ref('core__calendar') }}
    where period = 'month'

),

unclosed as (

    select
        month,
        account,
        'movements do not explain the closing' as failure

    from mrr_monthly
    where opening + "new" + reactivation + expansion + contraction + churn + fx <> closing

),

closings as (

    select
        cast(mrr_monthly.month + interval 1 month as date) as next_month,
        mrr_monthly.account,
        mrr_monthly.closing

    from mrr_monthly
    inner join calendar
        on cast(mrr_monthly.month + interval 1 month as date) = calendar.period_start

),

untied as (

    select
        coalesce(mrr_monthly.month, closings.next_month) as month,
        coalesce(mrr_monthly.account, closings.account) as account,
        'opening is not the closing of the month before' as failure

    from closings
    full join mrr_monthly
        on closings.account = mrr_monthly.account and closings.next_month = mrr_monthly.month
    where coalesce(closings.closing, 0) <> coalesce(mrr_monthly.opening, 0)

)

select * from unclosed
union all
select * from untied
