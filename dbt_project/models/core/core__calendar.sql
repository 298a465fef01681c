with

opportunities as (

    select * from {{ ref('crm__opportunities') }}

),

leads as (

    select * from {{ ref('crm__leads') }}

),

email_events as (

    select * from {{ ref('email__events') }}

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}

),

invoices as (

    select * from {{ ref('billing__invoices') }}

),

spend as (

    select * from {{ ref('finance__spend') }}

),

facts as (

    select {{ local_date('min(least(created_at, closed_at))') }} as first_day from opportunities
    union all
    select {{ local_date('min(created_at)') }} from leads
    union all
    select {{ local_date('min(occurred_at)') }} from email_events
    union all
    select {{ local_date('min(coalesce(started_at, created_at))') }} from subscriptions
    union all
    select {{ local_date('min(issued_at)') }} from invoices
    union all
    select min(month) from spend

),

span as (

    select
        date_trunc('month', min(first_day)) as first_month,
        date_trunc('month', {{ last_day() }}) as last_month

    from facts

),

months as (

    select cast(unnest(generate_series(first_month, last_month, interval 1 month)) as date) as month
    from span

),

periods as (

    select
        'month' as period,
        month as period_start,
        cast(month + interval 1 month as date) as period_end

    from months

    union all

    select distinct
        'quarter',
        {{ fiscal_period(3, 'month') }},
        cast({{ fiscal_period(3, 'month') }} + interval 3 month as date)

    from months

    union all

    select distinct
        'year',
        {{ fiscal_period(12, 'month') }},
        cast({{ fiscal_period(12, 'month') }} + interval 12 month as date)

    from months

    union all

    select
        'all',
        min(month),
        cast(max(month) + interval 1 month as date)

    from months
    having count(*) > 0

),

final as (

    select
        period,
        period_start,
        period_end,
        {{ local_midnight('period_start') }} as starts_at,
        least({{ local_midnight('period_end') }}, {{ as_of() }}) as t_end,
        {{ local_midnight('period_end') }} <= {{ as_of() }} as is_complete

    from periods

)

select * from final
