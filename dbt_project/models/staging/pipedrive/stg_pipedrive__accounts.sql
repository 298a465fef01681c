with

raw_organizations as (

    select * from {{ raw_table('pipedrive', 'organizations') }}

),

final as (

    select
        source,
        id as account_id,
        owner_id,
        parent_organization_id as parent_account_id,
        billing_customer_id,
        name,
        regexp_replace(lower(trim(website)), '^https?://(www\.)?|/.*$', '', 'g') as domain,
        coalesce(country, json_extract_string(address, '$.country')) as country,
        industry,
        employee_count,
        replace(lower(lifecycle_stage), ' ', '') as lifecycle_stage,
        tax_id,
        cast(annual_revenue as decimal(18, 4)) as annual_revenue,
        is_deleted,
        add_time as created_at,
        update_time as updated_at,
        _loaded_at as loaded_at

    from raw_organizations

)

select * from final
