{{ config(materialized='view') }}
{#- What a gate finds is asked of the register, so that each rule stands once; it says what is still so.

    A table that nobody is expected to change, such as prices or stages, is none that nobody uses. -#}
{%- set used_daily = [
    'crm.leads', 'crm.opportunities', 'crm.activities', 'crm.campaigns', 'crm.campaign_members',
    'email.campaigns', 'email.recipients', 'email.events', 'email.leads',
    'billing.subscriptions', 'billing.invoices', 'billing.payments', 'finance.spend', 'finance.forecasts',
] -%}
with

lead_records as (

    select * from {{ ref('core__kpi_lead_records') }}

),

owners as (

    select * from {{ ref('crm__owners') }}

),

leads as (

    select * from {{ ref('crm__leads') }}
    where created_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

contacts as (

    select * from {{ ref('crm__contacts') }}
    where created_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

accounts as (

    select * from {{ ref('crm__accounts') }}
    where created_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

customers as (

    select * from {{ ref('billing__customers') }}
    where created_at < {{ as_of() }} and not coalesce(is_deleted, false)

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

activities as (

    select
        *,
        {{ local_date('occurred_at') }} as done_on,
        {{ fiscal_period(3, local_date('occurred_at')) }} as quarter

    from {{ ref('crm__activities') }}
    where
        not coalesce(is_deleted, false)
        and not coalesce(is_automated, false)
        and occurred_at < {{ as_of() }}

),

email_events as (

    select * from {{ ref('email__events') }}
    where event_type = 'sent' and not coalesce(is_deleted, false) and occurred_at < {{ as_of() }}

),

people as (

    select * from {{ ref('identity__people') }}

),

crm_links as (

    select * from {{ ref('identity__crm_accounts') }}

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

freshness as (

    select * from {{ ref('marts__source_freshness') }}

),

open_gaps as (

    select * from {{ ref('marts__silo_gaps') }}
    where first_seen_at <= {{ as_of() }} and coalesce(resolved_at > {{ as_of() }}, true)

),

quarters as (

    select * from {{ ref('core__calendar') }}
    where period = 'quarter'

),

late as (

    select
        'late_response' as finding,
        'lead to first response' as detail,
        team,
        created_on as happened_on,
        missed = 1 as is_found,
        cast(null as decimal(18, 4)) as money

    from lead_records
    where judged = 1

),

unused as (

    select
        'unused_table' as finding,
        source || ' ' || table_name as detail,
        '(none)' as team,
        {{ last_day() }} as happened_on,
        coalesce(newest_record_at < {{ as_of() }} - interval 90 day, true) as is_found,
        cast(null as decimal(18, 4)) as money

    from freshness
    where silo || '.' || table_name in (
        {% for table in used_daily -%}
        '{{ table }}'{{ "," if not loop.last }}
        {% endfor -%}
    )

),

signs_of_users as (

    select
        source,
        owner_id,
        occurred_at as seen_at,
        true as is_activity

    from activities

    union all

    select
        source,
        owner_id,
        created_at,
        false

    from opportunities

    union all

    select
        source,
        owner_id,
        created_at,
        false

    from leads

),

-- Since when somebody has worked here, as far as the CRM shows.
began as (

    select
        source,
        owner_id,
        min(seen_at) as first_at,
        max(seen_at) filter (where is_activity) as last_activity_at

    from signs_of_users
    group by all

),

worked as (

    select distinct
        source,
        owner_id,
        quarter

    from activities

),

quarters_at_work as (

    select distinct
        source,
        quarter

    from activities

),

idle as (

    select
        'idle_user' as finding,
        'in ' || owners.source as detail,
        owners.team,
        least(quarters.period_end - 1, {{ last_day() }}) as happened_on,
        -- A quarter that has only begun says nothing yet.
        worked.quarter is null and (
            quarters.is_complete or coalesce(began.last_activity_at < {{ as_of() }} - interval 30 day, true)
        ) as is_found,
        cast(null as decimal(18, 4)) as money

    from owners
    inner join quarters_at_work
        on owners.source = quarters_at_work.source
    inner join quarters
        on quarters_at_work.quarter = quarters.period_start
    left join began
        on owners.source = began.source and owners.owner_id = began.owner_id
    left join worked
        on
            owners.source = worked.source
            and owners.owner_id = worked.owner_id
            and quarters.period_start = worked.quarter
    where
        owners.is_active
        and not coalesce(owners.is_deleted, false)
        and coalesce(began.first_at < quarters.t_end, not quarters.is_complete)

),

unowned as (

    select
        'unowned_activity' as finding,
        'in ' || source as detail,
        '(none)' as team,
        done_on as happened_on,
        owner_id is null as is_found,
        cast(null as decimal(18, 4)) as money

    from activities

),

addressed as (

    select
        activities.source,
        activities.owner_id,
        activities.done_on,
        lower(trim(coalesce(contacts.email, leads.email))) as email

    from activities
    left join contacts
        on activities.source = contacts.source and activities.contact_id = contacts.contact_id
    left join leads
        on activities.source = leads.source and activities.lead_id = leads.lead_id
    where activities.activity_type = 'email' and activities.direction = 'outbound'

),

-- A person may have several addresses.
hand_written as (

    select
        addressed.*,
        coalesce(people.person, addressed.email) as person

    from addressed
    left join people
        on addressed.email = people.email

),

campaign_days as (

    select distinct
        hand_written.person,
        hand_written.done_on

    from hand_written
    inner join people
        on hand_written.person = people.person
    inner join email_events
        on
            people.email = lower(trim(email_events.email))
            and hand_written.done_on = {{ local_date('email_events.occurred_at') }}

),

mailed_twice as (

    select
        'double_mail' as finding,
        'by a campaign and by hand on one day' as detail,
        owners.team,
        hand_written.done_on as happened_on,
        campaign_days.person is not null as is_found,
        cast(null as decimal(18, 4)) as money

    from hand_written
    left join campaign_days
        on hand_written.person = campaign_days.person and hand_written.done_on = campaign_days.done_on
    left join owners
        on hand_written.source = owners.source and hand_written.owner_id = owners.owner_id
    where {{ 'email' in var('silos') }}

),

-- In some CRMs a lead is a stage of a contact.
records as (

    select
        'duplicate_people' as finding,
        source,
        contact_id as record_id,
        owner_id,
        created_at

    from contacts

    union all

    select
        'duplicate_people',
        leads.source,
        leads.lead_id,
        leads.owner_id,
        leads.created_at

    from leads
    left join contacts
        on leads.source = contacts.source and leads.lead_id = contacts.contact_id
    where contacts.contact_id is null

    union all

    select
        'duplicate_accounts',
        source,
        account_id,
        owner_id,
        created_at

    from accounts

),

repeated as (

    select
        gap_type,
        key_right,
        max(money_at_risk) as money

    from open_gaps
    where gap_type in ('duplicate_people', 'duplicate_accounts')
    group by all

),

duplicates as (

    select
        records.finding,
        'in ' || records.source as detail,
        owners.team,
        {{ local_date('records.created_at') }} as happened_on,
        repeated.key_right is not null as is_found,
        nullif(repeated.money, 0) as money

    from records
    left join repeated
        on records.finding = repeated.gap_type and records.record_id = repeated.key_right
    left join owners
        on records.source = owners.source and records.owner_id = owners.owner_id

),

-- A customer that neither tool knows by the other's id was typed into both.
copied as (

    select
        'entered_twice' as finding,
        'in CRM and ' || customers.source as detail,
        '(none)' as team,
        {{ local_date('customers.created_at') }} as happened_on,
        not coalesce(
            billing_links.method in ('crm_account_id', 'billing_customer_id', 'merged', 'override'), false
        ) as is_found,
        cast(null as decimal(18, 4)) as money

    from customers
    inner join billing_links
        on customers.source = billing_links.source and customers.customer_id = billing_links.customer_id
    where billing_links.account in (select crm_links.account from crm_links)

),

final as (

    select * from late
    union all
    select * from unused
    union all
    select * from idle
    union all
    select * from unowned
    union all
    select * from mailed_twice
    union all
    select * from duplicates
    union all
    select * from copied

)

select
    finding,
    detail,
    coalesce(team, '(none)') as team,
    happened_on,
    is_found,
    case when is_found then money end as money
from final
