with

walk as (

    select * from {{ ref('core__revenue_walk') }}

),

final as (

    select
        month,
        {%- for name in ['contracted_before'] + walk_amounts() %}
        cast(sum({{ name }}) as decimal(18, 2)) as {{ name }},
        {%- endfor %}
        cast(sum(billing_residual + invoicing_residual + cash_residual) as decimal(18, 2)) as residual,
        count(*) filter (
            where billing_residual <> 0 or invoicing_residual <> 0 or cash_residual <> 0
        ) as residual_accounts

    from walk
    group by all

)

select * from final
