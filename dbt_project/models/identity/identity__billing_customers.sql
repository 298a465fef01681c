with

records as (

    select * from {{ ref('identity__records') }}

),

final as (

    select
        source,
        record_id as customer_id,
        account,
        method,
        evidence

    from records
    where silo = 'billing'

)

select * from final
