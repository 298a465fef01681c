with

calendar as (

    select * from {{ ref('core__calendar') }}
    where period = 'all'

),

final as (

    select cast(unnest(generate_series(period_start, period_end - 1, interval 1 day)) as date) as day
    from calendar

)

select * from final
