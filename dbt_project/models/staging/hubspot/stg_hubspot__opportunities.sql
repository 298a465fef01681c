with

raw_deals as (

    select * from {{ raw_table('hubspot', 'deals') }}

),

raw_deal_companies as (

    select * from {{ raw_table('hubspot', 'deal_companies') }}

),

history as (

    select * from {{ ref('stg_hubspot__opportunity_history') }}

),

opportunity_contacts as (

    select * from {{ ref('stg_hubspot__opportunity_contacts') }}

),

stages as (

    select * from {{ ref('stg_hubspot__stages') }}

),

-- An archived deal shows no associations any more: the last ones known stay with it.
companies as (

    select
        links.source,
        links.deal_id,
        arg_min(
            links.company_id,
            (not contains(cast(links.association_types as varchar), '"label":"Primary"'), links.company_id)
        ) as company_id

    from raw_deal_companies as links
    inner join raw_deals
        on links.source = raw_deals.source and links.deal_id = raw_deals.id
    where not links.is_deleted or raw_deals.is_deleted
    group by all

),

primary_contacts as (

    select
        source,
        opportunity_id,
        arg_min(contact_id, (not is_primary, contact_id)) as contact_id

    from opportunity_contacts
    where not is_deleted
    group by all

),

-- The present stage may have been entered more than once: the last time counts.
entered as (

    select
        raw_deals.source,
        raw_deals.id as opportunity_id,
        max(history.changed_at) as entered_at

    from raw_deals
    inner join history
        on
            raw_deals.source = history.source
            and raw_deals.id = history.opportunity_id
            and raw_deals.dealstage = history.new_value
    where history.field = 'stage'
    group by all

),

final as (

    select
        raw_deals.source,
        raw_deals.id as opportunity_id,
        companies.company_id as account_id,
        primary_contacts.contact_id as primary_contact_id,
        raw_deals.hubspot_owner_id as owner_id,
        raw_deals.email_campaign_id as campaign_id,
        raw_deals.stripe_subscription_id as billing_subscription_id,
        raw_deals.dealname as name,
        raw_deals.pipeline,
        raw_deals.dealstage as stage,
        coalesce(stages.outcome, 'open') as outcome,
        coalesce(
            raw_deals.opportunity_type,
            case raw_deals.dealtype
                when 'newbusiness' then 'new_business'
                when 'existingbusiness' then 'expansion'
            end
        ) as opportunity_type,
        case raw_deals.hs_manual_forecast_category
            when 'OMIT' then 'omitted' else lower(raw_deals.hs_manual_forecast_category)
        end as forecast_category,
        raw_deals.product,
        raw_deals.lead_source,
        raw_deals.closed_lost_reason as lost_reason,
        stages.probability,
        cast(raw_deals.amount as decimal(18, 4)) as amount,
        upper(raw_deals.deal_currency_code) as currency,
        raw_deals.is_deleted,
        raw_deals.createdate as created_at,
        cast(timezone('UTC', raw_deals.closedate) as date) as close_date,
        case when stages.outcome in ('won', 'lost') then coalesce(entered.entered_at, raw_deals.closedate) end
            as closed_at,
        raw_deals.updated_at,
        raw_deals._loaded_at as loaded_at

    from raw_deals
    left join stages
        on
            raw_deals.source = stages.source
            and raw_deals.pipeline = stages.pipeline
            and raw_deals.dealstage = stages.stage
    left join companies
        on raw_deals.source = companies.source and raw_deals.id = companies.deal_id
    left join primary_contacts
        on raw_deals.source = primary_contacts.source and raw_deals.id = primary_contacts.opportunity_id
    left join entered
        on raw_deals.source = entered.source and raw_deals.id = entered.opportunity_id

)

select * from final
