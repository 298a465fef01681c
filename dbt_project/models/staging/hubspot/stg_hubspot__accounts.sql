with

raw_companies as (

    select * from {{ raw_table('hubspot', 'companies') }}

),

final as (

    select
        source,
        id as account_id,
        hubspot_owner_id as owner_id,
        hs_parent_company_id as parent_account_id,
        stripe_customer_id as billing_customer_id,
        name,
        lower(trim(domain)) as domain,
        country,
        industry,
        numberofemployees as employee_count,
        lifecyclestage as lifecycle_stage,
        tax_id,
        cast(annualrevenue as decimal(18, 4)) as annual_revenue,
        is_deleted,
        createdate as created_at,
        updated_at,
        _loaded_at as loaded_at

    from raw_companies

)

select * from final
