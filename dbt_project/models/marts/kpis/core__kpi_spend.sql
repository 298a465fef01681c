with

months as (

    select * from {{ ref('core__kpi_months') }}

),

spend as (

    select * from {{ ref('finance__spend') }}
    where is_acquisition and not coalesce(is_deleted, false)

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

converted as (

    select
        months.period,
        months.period_start,
        spend.spend_id,
        {{ cents('spend.amount * rates.rate') }} as amount

    from months
    left join spend
        on months.month = date_trunc('month', spend.month)
    left join closing_rates as rates
        on months.month = rates.month and {{ currency_or_reporting('spend.currency') }} = rates.currency

),

final as (

    select
        period,
        period_start,
        coalesce(sum(amount), 0) as spend,
        count(spend_id) as spend_lines,
        count(amount) as converted_lines

    from converted
    group by all

)

select * from final
