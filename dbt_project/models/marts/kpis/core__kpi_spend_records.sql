with

spend as (

    select * from {{ ref('finance__spend') }}
    where is_acquisition and not coalesce(is_deleted, false)

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

final as (

    select
        spend.source,
        spend.spend_id,
        cast(date_trunc('month', spend.month) as date) as month,
        spend.category,
        {{ cents('spend.amount * rates.rate') }} as amount

    from spend
    left join closing_rates as rates
        on
            date_trunc('month', spend.month) = rates.month
            and {{ currency_or_reporting('spend.currency') }} = rates.currency

)

select * from final
