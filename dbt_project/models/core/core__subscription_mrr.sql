with

calendar as (

    select * from {{ ref('core__calendar') }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

final as (

    select
        calendar.period_start as month,
        spans.source,
        spans.subscription_id,
        spans.customer_id,
        spans.account,
        spans.currency,
        spans.mrr

    from spans
    inner join calendar
        on spans.from_at < calendar.t_end and coalesce(spans.until_at, 'infinity') >= calendar.t_end
    where calendar.period = 'month' and spans.mrr > 0

)

select * from final
