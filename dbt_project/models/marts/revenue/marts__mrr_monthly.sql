with

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

final as (

    select
        month,
        account,
        opening,
        "new",
        reactivation,
        expansion,
        contraction,
        churn,
        fx,
        closing,
        is_involuntary

    from movements

)

select * from final
