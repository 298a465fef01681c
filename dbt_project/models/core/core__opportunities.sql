with

crm_opportunities as (

    select * from {{ ref('crm__opportunities') }}
    where not coalesce(is_deleted, false)

),

history as (

    select * from {{ ref('crm__opportunity_history') }}
    where field = 'owner_id'

),

owners as (

    select * from {{ ref('crm__owners') }}

),

quotas as (

    select * from {{ ref('finance__quotas') }}
    where not coalesce(is_deleted, false)

),

crm_links as (

    select * from {{ ref('identity__crm_accounts') }}

),

fx_rates as (

    select * from {{ ref('finance__fx_rates') }}

),

rates as (

    {{ daily_rates('fx_rates') }}

),

-- A source that keeps only days closes an opportunity at the day's beginning.
opportunities as (

    select
        *,
        {{ currency_or_reporting('currency') }} as currency_code,
        case when outcome in ('won', 'lost') then coalesce(closed_at, {{ local_midnight('close_date') }}) end
            as ended_at

    from crm_opportunities

),

dated as (

    select
        *,
        {{ local_date('created_at') }} as created_on,
        {{ local_date('ended_at') }} as closed_on,
        -- What is open, or closes later, is worth what it would be today.
        least(coalesce({{ local_date('ended_at') }}, {{ last_day() }}), {{ last_day() }}) as rate_day

    from opportunities

),

-- Whoever owned it at its close, however often it has changed hands since.
closing_owners as (

    select
        opportunities.source,
        opportunities.opportunity_id,
        arg_max(history.new_value, history.changed_at) as owner_id

    from opportunities
    inner join history
        on
            opportunities.source = history.source
            and opportunities.opportunity_id = history.opportunity_id
            and opportunities.ended_at >= history.changed_at
    group by all

),

owned as (

    select
        dated.*,
        coalesce(nullif(closing_owners.owner_id, ''), dated.owner_id) as closing_owner_id

    from dated
    left join closing_owners
        on
            dated.source = closing_owners.source
            and dated.opportunity_id = closing_owners.opportunity_id

),

-- A rep's team then is the one the quota was for; of several, the shortest period's.
closing_teams as (

    select
        owned.source,
        owned.opportunity_id,
        arg_min(quotas.team, (quotas.period_end - quotas.period_start, quotas.quota_id)) as team

    from owned
    inner join quotas
        on
            owned.closing_owner_id = quotas.owner_id
            and owned.closed_on >= quotas.period_start
            and owned.closed_on < quotas.period_end
    where quotas.team is not null
    group by all

),

final as (

    select
        owned.source,
        owned.opportunity_id,
        crm_links.account,
        owned.account_id,
        owned.primary_contact_id,
        owned.owner_id,
        owned.closing_owner_id,
        coalesce(closing_teams.team, owners.team) as team,
        owners.region,
        owned.product,
        owned.lead_source,
        owned.campaign_id,
        owned.opportunity_type,
        owned.billing_subscription_id,
        owned.pipeline,
        owned.stage,
        owned.outcome,
        {{ cents(
            "owned.amount * case when owned.currency_code = '" ~ var('currency') ~ "' then 1 else rates.rate end"
        ) }} as amount,
        owned.amount as amount_local,
        owned.currency_code as currency,
        owned.probability,
        owned.forecast_category,
        owned.created_at,
        owned.ended_at as closed_at,
        owned.created_on,
        owned.closed_on,
        owned.close_date,
        owned.closed_on - owned.created_on as cycle_days

    from owned
    asof left join rates
        on owned.currency_code = rates.currency and owned.rate_day >= rates.rate_date
    left join crm_links
        on owned.source = crm_links.source and owned.account_id = crm_links.account_id
    left join owners
        on owned.source = owners.source and owned.closing_owner_id = owners.owner_id
    left join closing_teams
        on owned.source = closing_teams.source and owned.opportunity_id = closing_teams.opportunity_id

)

select * from final
