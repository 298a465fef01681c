with

register as (

    select * from {{ source('gaps', 'register') }}

),

final as (

    select * exclude (gap_key) from register

)

select * from final
