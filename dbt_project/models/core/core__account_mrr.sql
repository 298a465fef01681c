with

subscription_mrr as (

    select * from {{ ref('core__subscription_mrr') }}

),

final as (

    select
        month,
        account,
        currency,
        cast(sum(mrr) as decimal(18, 2)) as mrr

    from subscription_mrr
    group by all

)

select * from final
