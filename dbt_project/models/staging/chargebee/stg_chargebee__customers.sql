with

raw_customers as (

    select * from {{ raw_table('chargebee', 'customers') }}

),

final as (

    select
        source,
        id as customer_id,
        coalesce(
            json_extract_string(custom_fields, '$.cf_crm_account_id'),
            json_extract_string(custom_fields, '$.cf_hubspot_company_id'),
            json_extract_string(meta_data, '$.crm_account_id')
        ) as crm_account_id,
        vat_number as tax_id,
        coalesce(company, nullif(trim(concat_ws(' ', first_name, last_name)), '')) as name,
        email,
        nullif(lower(split_part(trim(email), '@', 2)), '') as domain,
        billing_country as country,
        upper(preferred_currency_code) as currency,
        coalesce(is_deleted, false) as is_deleted,
        created_at,
        updated_at,
        _loaded_at as loaded_at

    from raw_customers

)

select * from final
