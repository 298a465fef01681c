{{ config(materialized='view') }}
{#- What a gate finds is asked of the register, so that each rule stands once; it says what is still so. -#}
with

opportunities as (

    select
        *,
        coalesce(team, '(none)') as team_name,
        coalesce(amount, 0) as worth,
        coalesce(opportunity_type, 'new_business') = 'new_business' as is_new_business

    from {{ ref('core__opportunities') }}

),

closed as (

    select * from opportunities
    where outcome in ('won', 'lost') and closed_at < {{ as_of() }}

),

stage_visits as (

    select * from {{ ref('core__stage_visits') }}

),

gaps as (

    select
        *,
        {{ local_date("first_seen_at - interval 1 microsecond") }} as first_seen_on,
        {{ local_date("resolved_at - interval 1 microsecond") }} as resolved_on

    from {{ ref('marts__silo_gaps') }}
    where first_seen_at <= {{ as_of() }}

),

open_gaps as (

    select * from gaps
    where coalesce(resolved_at > {{ as_of() }}, true)

),

opportunity_contacts as (

    select distinct
        source,
        opportunity_id

    from {{ ref('crm__opportunity_contacts') }}
    where not coalesce(is_deleted, false)

),

spans as (

    select * from {{ ref('core__subscription_spans') }}
    where list_mrr > 0 and from_at < {{ as_of() }}

),

quarters as (

    select
        period_start as quarter,
        {{ local_date("t_end - interval 1 microsecond") }} as last_day

    from {{ ref('core__calendar') }}
    where period = 'quarter'

),

pipeline as (

    select * from {{ ref('marts__pipeline_daily') }}
    where outcome = 'open'

),

-- What an opportunity began beyond is no stage that it skipped.
skipped as (

    select
        'skipped_stage' as finding,
        label as detail,
        team,
        {{ local_date('entered_at') }} as happened_on,
        is_imputed as is_found,
        coalesce(amount, 0) as money

    from stage_visits
    where not is_imputed or coalesce(entered_at > created_at, true)

),

-- What a deal must say when it closes, by the gates.
asked_at_close as (

    select
        closed.*,
        unnest([
            {
                'detail': 'amount at close', 'gap_type': 'closed_without_reason',
                'is_asked': closed.outcome = 'won'
            },
            {
                'detail': 'lost reason at close', 'gap_type': 'closed_without_reason',
                'is_asked': closed.outcome = 'lost'
            },
            {
                'detail': 'lead source at close', 'gap_type': 'missing_lead_source',
                'is_asked': closed.outcome = 'won' and closed.is_new_business
            },
            {
                'detail': 'account at handover', 'gap_type': 'opportunity_without_account',
                'is_asked': closed.outcome = 'won'
            }
        ], recursive := true)

    from closed

),

missing_at_close as (

    select
        'missing_field' as finding,
        asked_at_close.detail,
        asked_at_close.team_name as team,
        asked_at_close.closed_on as happened_on,
        open_gaps.gap_id is not null as is_found,
        asked_at_close.worth as money

    from asked_at_close
    left join open_gaps
        on
            asked_at_close.gap_type = open_gaps.gap_type
            and asked_at_close.opportunity_id = open_gaps.key_left
            and asked_at_close.account is not distinct from open_gaps.account
    where asked_at_close.is_asked

),

-- What whoever looks after the customer from then on needs, where the CRM keeps it at all.
asked_at_handover as (

    select
        closed.*,
        unnest([
            {
                'detail': 'contact at handover',
                'is_missing': coalesce(
                    closed.primary_contact_id, opportunity_contacts.opportunity_id
                ) is null
            },
            {'detail': 'product at handover', 'is_missing': closed.product is null},
            {'detail': 'owner at handover', 'is_missing': closed.closing_owner_id is null}
        ], recursive := true)

    from closed
    left join opportunity_contacts
        on
            closed.source = opportunity_contacts.source
            and closed.opportunity_id = opportunity_contacts.opportunity_id
    where closed.outcome = 'won'

),

missing_at_handover as (

    select
        'missing_field' as finding,
        detail,
        team_name as team,
        closed_on as happened_on,
        is_missing as is_found,
        worth as money

    from asked_at_handover
    qualify not bool_and(is_missing) over (partition by source, detail)

),

-- As far back as the register goes.
register as (

    select min(first_seen_on) as began_on from gaps

),

idle as (

    select
        'idle_opportunity' as finding,
        'on the last day' as detail,
        pipeline.team,
        quarters.last_day as happened_on,
        bool_or(gaps.gap_id is not null) as is_found,
        any_value(pipeline.amount) as money

    from quarters
    inner join register
        on quarters.last_day >= register.began_on
    inner join pipeline
        on quarters.last_day = pipeline.day
    left join gaps
        on
            gaps.gap_type = 'idle_opportunity'
            and pipeline.opportunity_id = gaps.key_left
            and pipeline.account is not distinct from gaps.account
            and quarters.last_day >= gaps.first_seen_on
            and quarters.last_day < coalesce(gaps.resolved_on, 'infinity')
    group by quarters.last_day, pipeline.source, pipeline.opportunity_id, pipeline.team

),

billed as (

    select
        closed.source,
        closed.opportunity_id,
        closed.team_name,
        closed.closed_on,
        closed.closed_at,
        closed.worth,
        min({{ local_date('spans.from_at') }}) as billed_on

    from closed
    left join spans
        on closed.account = spans.account and closed.closed_at < coalesce(spans.until_at, 'infinity')
    where closed.outcome = 'won' and closed.is_new_business and {{ 'billing' in var('silos') }}
    group by all

),

late as (

    select
        'late_billing' as finding,
        'won to first subscription' as detail,
        team_name as team,
        closed_on as happened_on,
        coalesce(billed_on, {{ last_day() }}) - closed_on
        > {{ var('thresholds').won_to_billed_days }} as is_found,
        worth as money,
        billed_on

    from billed

),

final as (

    select * from skipped
    union all
    select * from missing_at_close
    union all
    select * from missing_at_handover
    union all
    select * from idle
    union all
    -- Who is not billed yet, and still may be in time, is neither.
    select * exclude (billed_on) from late
    where is_found or billed_on is not null

)

select
    finding,
    detail,
    coalesce(team, '(none)') as team,
    happened_on,
    is_found,
    case when is_found then money end as money
from final
