with

raw_contacts as (

    select * from {{ raw_table('hubspot', 'contacts') }}

),

raw_deals as (

    select * from {{ raw_table('hubspot', 'deals') }}

),

raw_deal_contacts as (

    select * from {{ raw_table('hubspot', 'deal_contacts') }}

),

contacts as (

    select * from {{ ref('stg_hubspot__contacts') }}

),

accounts as (

    select * from {{ ref('stg_hubspot__accounts') }}

),

first_opportunities as (

    select
        raw_deal_contacts.source,
        raw_deal_contacts.contact_id,
        arg_min(raw_deals.id, (raw_deals.createdate, raw_deals.id)) as opportunity_id

    from raw_deal_contacts
    inner join raw_deals
        on raw_deal_contacts.source = raw_deals.source and raw_deal_contacts.deal_id = raw_deals.id
    where not raw_deal_contacts.is_deleted and not raw_deals.is_deleted
    group by all

),

-- HubSpot dates only the stages a contact was in, so the first of them is when it became a lead.
reached as (

    select
        *,
        least(
            hs_lifecyclestage_lead_date,
            hs_lifecyclestage_marketingqualifiedlead_date,
            hs_lifecyclestage_salesqualifiedlead_date,
            hs_lifecyclestage_opportunity_date,
            hs_lifecyclestage_customer_date
        ) as lead_at,
        least(hs_lifecyclestage_opportunity_date, hs_lifecyclestage_customer_date) as converted_at

    from raw_contacts

),

final as (

    select
        reached.source,
        reached.id as lead_id,
        reached.hubspot_owner_id as owner_id,
        reached.email_campaign_id as campaign_id,
        case when reached.converted_at is not null then contacts.account_id end as converted_account_id,
        case when reached.converted_at is not null then reached.id end as converted_contact_id,
        case when reached.converted_at is not null then first_opportunities.opportunity_id end
            as converted_opportunity_id,
        contacts.email,
        contacts.first_name,
        contacts.last_name,
        accounts.name as company_name,
        reached.lifecyclestage as status,
        reached.lead_source,
        reached.is_deleted,
        reached.lead_at as created_at,
        reached.hs_lifecyclestage_marketingqualifiedlead_date as mql_at,
        reached.hs_lifecyclestage_salesqualifiedlead_date as sql_at,
        reached.hs_sa_first_engagement_date as first_response_at,
        reached.converted_at,
        reached.updated_at,
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
