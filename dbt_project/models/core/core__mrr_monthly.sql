with

account_mrr as (

    select * from {{ ref('core__account_mrr') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

calendar as (

    select * from {{ ref('core__calendar') }}
    where period = 'month'

),

subscription_mrr as (

    select * from {{ ref('core__subscription_mrr') }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}

),

-- Every closing is the next month's opening.
both_ends as (

    select
        month,
        account,
        currency,
        cast(0 as decimal(18, 2)) as opening,
        mrr as closing

    from account_mrr

    union all

    select
        cast(account_mrr.month + interval 1 month as date),
        account_mrr.account,
        account_mrr.currency,
        account_mrr.mrr,
        0

    from account_mrr
    inner join calendar
        on cast(account_mrr.month + interval 1 month as date) = calendar.period_start

),

local_amounts as (

    select
        month,
        account,
        currency,
        sum(opening) as opening,
        sum(closing) as closing

    from both_ends
    group by all

),

-- The change at the closing rate is the movement; what else the amount in reporting currency does is fx.
converted as (

    select
        local_amounts.month,
        local_amounts.account,
        sum({{ cents('local_amounts.closing * closing_rates.rate') }}) as closing,
        sum({{ cents('(local_amounts.closing - local_amounts.opening) * closing_rates.rate') }}) as change

    from local_amounts
    left join closing_rates
        on local_amounts.month = closing_rates.month and local_amounts.currency = closing_rates.currency
    group by all

),

compared as (

    select
        month,
        account,
        closing,
        change,
        case
            when lag(month) over by_month = cast(month - interval 1 month as date)
                then lag(closing) over by_month
            else 0
        end as opening,
        coalesce(
            max(closing) over (
                partition by account
                order by month rows between unbounded preceding and 1 preceding
            ) > 0, false
        ) as was_customer

    from converted
    window by_month as (partition by account order by month)

),

-- "Was it zero?" comes before "did it grow?".
movements as (

    select
        *,
        case
            when opening = 0 and closing > 0 and was_customer then 'reactivation'
            when opening = 0 and closing > 0 then 'new'
            when opening > 0 and closing = 0 then 'churn'
            when opening > 0 and change > 0 then 'expansion'
            when opening > 0 and change < 0 then 'contraction'
        end as movement

    from compared
    where opening <> 0 or closing <> 0

),

-- Of a churned account, every subscription it had at the month's beginning. A reason that came later is none.
lost as (

    select
        movements.month,
        movements.account,
        bool_and(
            (
                coalesce(subscriptions.cancellation_reason = 'payment_failed', false)
                and coalesce(
                    least(subscriptions.ended_at, subscriptions.canceled_at) < calendar.t_end, true
                )
            )
            or coalesce(spans.is_past_grace, false)
        ) as is_involuntary

    from movements
    inner join calendar
        on movements.month = calendar.period_start
    inner join subscription_mrr
        on
            movements.account = subscription_mrr.account
            and movements.month = cast(subscription_mrr.month + interval 1 month as date)
    inner join subscriptions
        on
            subscription_mrr.source = subscriptions.source
            and subscription_mrr.subscription_id = subscriptions.subscription_id
    left join spans
        on
            subscription_mrr.source = spans.source
            and subscription_mrr.subscription_id = spans.subscription_id
            and calendar.t_end > spans.from_at
            and calendar.t_end <= coalesce(spans.until_at, 'infinity')
    where movements.movement = 'churn'
    group by all

),

final as (

    select
        movements.month,
        movements.account,
        cast(movements.opening as decimal(18, 2)) as opening,
        {%- for movement in ['new', 'reactivation', 'expansion', 'contraction', 'churn'] %}
        cast(
            case when movements.movement = '{{ movement }}' then movements.change else 0 end as decimal(18, 2)
        ) as "{{ movement }}",
        {%- endfor %}
        cast(
            movements.closing - movements.opening
            - case when movements.movement is null then 0 else movements.change end as decimal(18, 2)
        ) as fx,
        cast(movements.closing as decimal(18, 2)) as closing,
        coalesce(lost.is_involuntary, false) as is_involuntary

    from movements
    left join lost
        on movements.month = lost.month and movements.account = lost.account

)

select * from final
