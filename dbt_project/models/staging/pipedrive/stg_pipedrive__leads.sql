with

raw_persons as (

    select * from {{ raw_table('pipedrive', 'persons') }}

),

contacts as (

    select * from {{ ref('stg_pipedrive__contacts') }}

),

accounts as (

    select * from {{ ref('stg_pipedrive__accounts') }}

),

opportunities as (

    select * from {{ ref('stg_pipedrive__opportunities') }}

),

opportunity_contacts as (

    select * from {{ ref('stg_pipedrive__opportunity_contacts') }}

),

first_opportunities as (

    select
        opportunity_contacts.source,
        opportunity_contacts.contact_id,
        arg_min(
            opportunities.opportunity_id, (opportunities.created_at, opportunities.opportunity_id)
        ) as opportunity_id

    from opportunity_contacts
    inner join opportunities
        on
            opportunity_contacts.source = opportunities.source
            and opportunity_contacts.opportunity_id = opportunities.opportunity_id
    where not opportunity_contacts.is_deleted and not opportunities.is_deleted
    group by all

),

-- Only the stages that a person was in have a moment, so the first of them is when it became a lead.
reached as (

    select
        *,
        least(
            became_lead,
            became_marketing_qualified,
            became_sales_qualified,
            became_opportunity,
            became_customer
        ) as lead_at,
        least(became_opportunity, became_customer) as converted_at

    from raw_persons

),

final as (

    select
        reached.source,
        reached.id as lead_id,
        reached.owner_id,
        reached.email_campaign_id as campaign_id,
        case when reached.converted_at is not null then contacts.account_id end as converted_account_id,
        case when reached.converted_at is not null then reached.id end as converted_contact_id,
        case when reached.converted_at is not null then first_opportunities.opportunity_id end
            as converted_opportunity_id,
        contacts.email,
        contacts.first_name,
        contacts.last_name,
        accounts.name as company_name,
        contacts.lifecycle_stage as status,
        reached.lead_source,
        reached.is_deleted,
        reached.lead_at as created_at,
        reached.became_marketing_qualified as mql_at,
        reached.became_sales_qualified as sql_at,
        reached.first_response as first_response_at,
        reached.converted_at,
        reached.update_time as updated_at,
        reached._loaded_at as loaded_at

    from reached
    inner join contacts
        on reached.source = contacts.source and reached.id = contacts.contact_id
    left join accounts
        on contacts.source = accounts.source and contacts.account_id = accounts.account_id
    left join first_opportunities
        on reached.source = first_opportunities.source and reached.id = first_opportunities.contact_id
    where reached.lead_at is not null

)

select * from final
