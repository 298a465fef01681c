with

raw_deals as (

    select * from {{ raw_table('pipedrive', 'deals') }}

),

opportunity_contacts as (

    select * from {{ ref('stg_pipedrive__opportunity_contacts') }}

),

stages as (

    select * from {{ ref('stg_pipedrive__stages') }}

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

-- A deleted deal has no other status; when it was closed is still known.
closing as (

    select
        *,
        case
            when status in ('won', 'lost') then status
            when status = 'deleted' and won_time is not null then 'won'
            when status = 'deleted' and lost_time is not null then 'lost'
            else 'open'
        end as outcome

    from raw_deals

),

dated as (

    select
        *,
        case outcome
            when 'won' then coalesce(won_time, close_time, stage_change_time)
            when 'lost' then coalesce(lost_time, close_time, stage_change_time)
        end as closed_at,
        case outcome when 'open' then stage_id else concat(pipeline_id, '-', outcome) end as stage

    from closing

),

final as (

    select
        dated.source,
        dated.id as opportunity_id,
        dated.org_id as account_id,
        primary_contacts.contact_id as primary_contact_id,
        dated.owner_id,
        dated.email_campaign_id as campaign_id,
        dated.billing_subscription_id,
        dated.title as name,
        dated.pipeline_id as pipeline,
        dated.stage,
        dated.outcome,
        replace(lower(dated.opportunity_type), ' ', '_') as opportunity_type,
        replace(lower(dated.forecast_category), ' ', '_') as forecast_category,
        dated.product,
        dated.lead_source,
        dated.lost_reason,
        case dated.outcome
            when 'open' then coalesce(cast(dated.probability / 100 as decimal(18, 4)), stages.probability)
            else stages.probability
        end as probability,
        cast(nullif(dated.value, 0) as decimal(18, 4)) as amount,
        upper(dated.currency) as currency,
        dated.is_deleted,
        dated.add_time as created_at,
        coalesce(cast(timezone('UTC', dated.closed_at) as date), dated.expected_close_date) as close_date,
        dated.closed_at,
        dated.update_time as updated_at,
        dated._loaded_at as loaded_at

    from dated
    left join stages
        on
            dated.source = stages.source
            and dated.pipeline_id = stages.pipeline
            and dated.stage = stages.stage
    left join primary_contacts
        on dated.source = primary_contacts.source and dated.id = primary_contacts.opportunity_id

)

select * from final
