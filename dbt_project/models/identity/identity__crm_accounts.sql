with

records as (

    select * from {{ ref('identity__records') }}

),

final as (

    select
        source,
        record_id as account_id,
        account,
        method,
        evidence

    from records
    where silo = 'crm'

)

select * from final
