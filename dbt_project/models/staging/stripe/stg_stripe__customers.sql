with

raw_customers as (

    select * from {{ raw_table('stripe', 'customers') }}

),

raw_invoices as (

    select * from {{ raw_table('stripe', 'invoices') }}

),

listed as (

    select
        source,
        id as customer_id,
        name,
        email,
        country,
        tax_id,
        upper(currency) as currency,
        -- Whichever name the company's sync gave it.
        coalesce(
            json_extract_string(metadata, '$.crm_account_id'),
            json_extract_string(metadata, '$.hubspot_company_id'),
            json_extract_string(metadata, '$.salesforce_account_id'),
            json_extract_string(metadata, '$.pipedrive_organization_id')
        ) as crm_account_id,
        coalesce(is_deleted, false) as is_deleted,
        created as created_at,
        _loaded_at as loaded_at

    from raw_customers

),

-- Stripe lists no deleted customers: those deleted before the first load are known from invoices only.
deleted_before_first_load as (

    select
        raw_invoices.source,
        raw_invoices.customer_id,
        arg_max(raw_invoices.customer_name, raw_invoices.created) as name,
        arg_max(raw_invoices.customer_email, raw_invoices.created) as email,
        upper(arg_max(raw_invoices.currency, raw_invoices.created)) as currency,
        true as is_deleted,
        min(raw_invoices.created) as created_at,
        max(raw_invoices._loaded_at) as loaded_at

    from raw_invoices
    anti join raw_customers
        on raw_invoices.customer_id = raw_customers.id and raw_invoices.source = raw_customers.source
    where raw_invoices.customer_id is not null
    group by all

),

customers as (

    select * from listed
    union all by name
    select * from deleted_before_first_load

),

final as (

    select
        source,
        customer_id,
        crm_account_id,
        tax_id,
        name,
        email,
        nullif(lower(split_part(trim(email), '@', 2)), '') as domain,
        country,
        currency,
        is_deleted,
        created_at,
        loaded_at

    from customers

)

select * from final
