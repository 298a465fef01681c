with

raw_accounts as (

    select * from {{ raw_table('salesforce', 'accounts') }}

),

raw_opportunities as (

    select * from {{ raw_table('salesforce', 'opportunities') }}

),

selling as (

    select
        source,
        account_id,
        bool_or(is_won) as has_won

    from raw_opportunities
    where not is_deleted
    group by all

),

-- Salesforce has no lifecycle: the type tells customers, an opportunity makes a prospect more than a lead.
final as (

    select
        raw_accounts.source,
        raw_accounts.id as account_id,
        raw_accounts.owner_id,
        raw_accounts.parent_id as parent_account_id,
        raw_accounts.master_record_id as merged_into_id,
        nullif(raw_accounts.billing_customer_id_c, '') as billing_customer_id,
        raw_accounts.name,
        nullif(
            regexp_extract(
                lower(trim(raw_accounts.website)), '^(?:[a-z]+://)?(?:www[.])?([^/:?#]+)', 1
            ), ''
        ) as domain,
        coalesce(raw_accounts.billing_country_code, raw_accounts.billing_country) as country,
        raw_accounts.industry,
        raw_accounts.number_of_employees as employee_count,
        case
            when raw_accounts.type ilike 'customer%' then 'customer'
            when raw_accounts.type is null and selling.has_won then 'customer'
            when coalesce(raw_accounts.type, 'Prospect') not ilike 'prospect%' then 'other'
            when selling.account_id is not null then 'opportunity'
            else 'lead'
        end as lifecycle_stage,
        raw_accounts.tax_id_c as tax_id,
        cast(raw_accounts.annual_revenue as decimal(18, 4)) as annual_revenue,
        raw_accounts.is_deleted,
        raw_accounts.created_date as created_at,
        raw_accounts.system_modstamp as updated_at,
        raw_accounts._loaded_at as loaded_at

    from raw_accounts
    left join selling
        on raw_accounts.source = selling.source and raw_accounts.id = selling.account_id

)

select * from final
