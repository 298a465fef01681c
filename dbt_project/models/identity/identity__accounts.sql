with

records as (

    select * from {{ ref('identity__records') }}

),

crm_accounts as (

    select * from {{ ref('crm__accounts') }}

),

billing_customers as (

    select * from {{ ref('billing__customers') }}

),

described as (

    select
        records.account,
        records.silo,
        records.created_at,
        records.source || ':' || records.record_id as record,
        coalesce(crm_accounts.is_deleted, billing_customers.is_deleted, false) as is_deleted,
        coalesce(crm_accounts.name, billing_customers.name) as name,
        coalesce(
            {{ company_domain('crm_accounts.domain') }},
            {{ company_domain('billing_customers.domain') }},
            {{ company_domain('billing_customers.email') }}
        ) as domain,
        coalesce(crm_accounts.country, billing_customers.country) as country,
        crm_accounts.employee_count,
        case
            when crm_accounts.owner_id is not null
                then struct_pack(source := crm_accounts.source, owner_id := crm_accounts.owner_id)
        end as owner

    from records
    -- With the silo on its own side the join would compare every row with every other.
    left join crm_accounts
        on
            records.source = crm_accounts.source
            and case records.silo when 'crm' then records.record_id end = crm_accounts.account_id
    left join billing_customers
        on
            records.source = billing_customers.source
            and case records.silo when 'billing' then records.record_id end = billing_customers.customer_id

),

-- The oldest record that says it, CRM before billing, live before deleted.
ranked as (

    select
        *,
        (silo <> 'crm', is_deleted, coalesce(created_at, 'infinity'), record) as rank

    from described

),

final as (

    select
        account,
        arg_min(name, rank) as name,
        arg_min(domain, rank) as domain,
        arg_min(country, rank) as country,
        arg_min(employee_count, rank) as employee_count,
        arg_min(owner, rank) as owner,
        min(created_at) as first_seen_at

    from ranked
    group by account

)

select * from final
