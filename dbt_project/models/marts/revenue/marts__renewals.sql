with

renewals as (

    select * from {{ ref('core__renewals') }}

),

final as (

    select
        source,
        subscription_id,
        account,
        due_at,
        due_on,
        amount_due,
        amount_renewed,
        renewed_at,
        status

    from renewals

)

select * from final
