with

raw_opportunities as (

    select * from {{ raw_table('salesforce', 'opportunities') }}

),

raw_record_types as (

    select * from {{ raw_table('salesforce', 'record_types') }}

),

history as (

    select * from {{ ref('stg_salesforce__opportunity_history') }}

),

opportunity_contacts as (

    select * from {{ ref('stg_salesforce__opportunity_contacts') }}

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

-- The present stage may have been entered more than once: the last time counts. An opportunity that was in it
-- from the start may have come into Salesforce long after it was closed.
entered as (

    select
        raw_opportunities.source,
        raw_opportunities.id as opportunity_id,
        max(history.changed_at) as entered_at

    from raw_opportunities
    inner join history
        on
            raw_opportunities.source = history.source
            and raw_opportunities.id = history.opportunity_id
            and raw_opportunities.stage_name = history.new_value
    where history.field = 'stage' and history.old_value is not null
    group by all

),

final as (

    select
        raw_opportunities.source,
        raw_opportunities.id as opportunity_id,
        raw_opportunities.account_id,
        coalesce(primary_contacts.contact_id, raw_opportunities.contact_id) as primary_contact_id,
        raw_opportunities.owner_id,
        coalesce(raw_opportunities.campaign_id, raw_opportunities.email_campaign_id_c) as campaign_id,
        raw_opportunities.billing_subscription_id_c as billing_subscription_id,
        raw_opportunities.name,
        coalesce(raw_record_types.developer_name, 'default') as pipeline,
        raw_opportunities.stage_name as stage,
        case
            when not raw_opportunities.is_closed then 'open'
            when raw_opportunities.is_won then 'won'
            else 'lost'
        end as outcome,
        case
            when raw_opportunities.type ilike '%renew%' then 'renewal'
            when regexp_matches(raw_opportunities.type, '^new ', 'i') then 'new_business'
            when regexp_matches(raw_opportunities.type, 'existing|expan|upgrade|up.?sell|cross|add.?on', 'i')
                then 'expansion'
        end as opportunity_type,
        {{ salesforce_forecast_category('raw_opportunities.forecast_category_name') }} as forecast_category,
        raw_opportunities.product_c as product,
        raw_opportunities.lead_source,
        raw_opportunities.loss_reason_c as lost_reason,
        cast(raw_opportunities.probability / 100 as decimal(9, 4)) as probability,
        cast(raw_opportunities.amount as decimal(18, 4)) as amount,
        upper(raw_opportunities.currency_iso_code) as currency,
        raw_opportunities.is_deleted,
        raw_opportunities.created_date as created_at,
        raw_opportunities.close_date,
        -- Without either the close date is all that is known of it.
        case
            when raw_opportunities.is_closed
                then coalesce(entered.entered_at, raw_opportunities.last_stage_change_date)
        end as closed_at,
        raw_opportunities.system_modstamp as updated_at,
        raw_opportunities._loaded_at as loaded_at

    from raw_opportunities
    left join raw_record_types
        on
            raw_opportunities.source = raw_record_types.source
            and raw_opportunities.record_type_id = raw_record_types.id
    left join primary_contacts
        on
            raw_opportunities.source = primary_contacts.source
            and raw_opportunities.id = primary_contacts.opportunity_id
    left join entered
        on
            raw_opportunities.source = entered.source
            and raw_opportunities.id = entered.opportunity_id

)

select * from final
