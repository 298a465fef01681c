with

raw_companies as (

    select * from {{ raw_table('hubspot', 'companies') }}

),

mergers as (

    select
        source,
        merged_id,
        arg_min(id, (is_deleted, id)) as merged_into_id,
        max(_loaded_at) as loaded_at

    from (
        select
            source,
            id,
            is_deleted,
            _loaded_at,
            unnest(string_split(hs_merged_object_ids, ';')) as merged_id

        from raw_companies
    ) as winners
    group by source, merged_id

),

final as (

    select
        raw_companies.source,
        raw_companies.id as account_id,
        raw_companies.hubspot_owner_id as owner_id,
        raw_companies.hs_parent_company_id as parent_account_id,
        raw_companies.stripe_customer_id as billing_customer_id,
        mergers.merged_into_id,
        raw_companies.name,
        lower(trim(raw_companies.domain)) as domain,
        raw_companies.country,
        raw_companies.industry,
        raw_companies.numberofemployees as employee_count,
        raw_companies.lifecyclestage as lifecycle_stage,
        raw_companies.tax_id,
        cast(raw_companies.annualrevenue as decimal(18, 4)) as annual_revenue,
        raw_companies.is_deleted,
        raw_companies.createdate as created_at,
        raw_companies.updated_at,
        raw_companies._loaded_at as loaded_at

    from raw_companies
    left join mergers
        on raw_companies.source = mergers.source and raw_companies.id = mergers.merged_id

    union all by name

    -- Merged before the first load: HubSpot lists it no more, but billing may still name it.
    select
        mergers.source,
        mergers.merged_id as account_id,
        mergers.merged_into_id,
        true as is_deleted,
        mergers.loaded_at

    from mergers
    anti join raw_companies
        on mergers.source = raw_companies.source and mergers.merged_id = raw_companies.id

)

select * from final
