with

calendar as (

    select * from {{ ref('core__calendar') }}

),

fx_rates as (

    select * from {{ ref('finance__fx_rates') }}

),

months as (

    select
        period_start as month,
        {{ local_date('t_end - interval 1 microsecond') }} as closing_day

    from calendar
    where period = 'month'

),

rates as (

    {{ daily_rates('fx_rates') }}

),

currencies as (

    select distinct currency from rates

),

quoted as (

    select
        months.month,
        currencies.currency,
        rates.rate

    from months
    cross join currencies
    asof inner join rates
        on currencies.currency = rates.currency and months.closing_day >= rates.rate_date

),

final as (

    select * from quoted
    union all
    select
        month,
        '{{ var("currency") }}' as currency,
        cast(1 as decimal(38, 8)) as rate

    from months

)

select * from final
