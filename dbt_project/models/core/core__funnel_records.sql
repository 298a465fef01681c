{%- set words = var('funnel') -%}
{%- set lead_steps = ['lead', 'mql', 'sql'] -%}
with

email_events as (

    select * from {{ ref('email__events') }}
    where not coalesce(is_deleted, false) and not coalesce(is_machine, false)

),

recipients as (

    select * from {{ ref('email__recipients') }}

),

leads as (

    select * from {{ ref('crm__leads') }}
    where not coalesce(is_deleted, false)

),

contacts as (

    select * from {{ ref('crm__contacts') }}

),

campaign_members as (

    select * from {{ ref('crm__campaign_members') }}
    where not coalesce(is_deleted, false) and first_responded_at is not null

),

opportunities as (

    select * from {{ ref('core__opportunities') }}

),

stage_visits as (

    select * from {{ ref('core__stage_visits') }}

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}
    where not coalesce(is_deleted, false)

),

invoices as (

    select * from {{ ref('billing__invoices') }}
    where not coalesce(is_deleted, false)

),

customers as (

    select * from {{ ref('billing__customers') }}

),

renewals as (

    select * from {{ ref('core__renewals') }}
    where renewed_at is not null

),

revenue_steps as (

    select * from {{ ref('core__revenue_steps') }}

),

crm_links as (

    select * from {{ ref('identity__crm_accounts') }}

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

people as (

    select * from {{ ref('identity__people') }}

),

email_words as (

    select
        unnest({{ lower_list(words.contacted + words.engaged + words.replied) }}) as event_type,
        unnest(
            {{ lower_list(
                ['contacted'] * (words.contacted | length) + ['engaged'] * (words.engaged | length)
                + ['replied'] * (words.replied | length)
            ) }}
        ) as step

),

email_steps as (

    select
        'email' as silo,
        email_events.source,
        email_events.event_id as record_id,
        email_words.step,
        email_events.occurred_at,
        lower(trim(coalesce(email_events.email, recipients.email))) as email

    from email_events
    inner join email_words
        on email_events.event_type = email_words.event_type
    left join recipients
        on
            email_events.source = recipients.source
            and email_events.recipient_id = recipients.recipient_id

),

-- A status without a date: it was reached by the time the lead was last changed.
lead_dates as (

    select
        source,
        lead_id,
        email,
        converted_account_id,
        unnest([
            {%- for step in lead_steps %}
            {%- set statuses = words.get(step ~ '_statuses', []) %}
            {
                'step': '{{ step }}',
                'dated_at': {{ words[step] }},
                'has_status': list_contains({{ lower_list(statuses) }}, lower(status))
            }{{ ',' if not loop.last }}
            {%- endfor %}
        ], recursive := true),
        coalesce(updated_at, created_at) as changed_at

    from leads

),

lead_steps as (

    select
        'crm' as silo,
        lead_dates.source,
        lead_dates.lead_id as record_id,
        lead_dates.step,
        coalesce(lead_dates.dated_at, lead_dates.changed_at) as occurred_at,
        lead_dates.dated_at is null as is_imputed,
        lead_dates.dated_at is not null as is_beginning,
        lower(trim(lead_dates.email)) as email,
        crm_links.account as known_account

    from lead_dates
    left join crm_links
        on
            lead_dates.source = crm_links.source
            and lead_dates.converted_account_id = crm_links.account_id
    where lead_dates.dated_at is not null or lead_dates.has_status

),

-- No step, but a touch.
responses as (

    select
        'crm' as silo,
        campaign_members.source,
        campaign_members.campaign_id || ':' || campaign_members.member_id as record_id,
        'responded' as step,
        campaign_members.first_responded_at as occurred_at,
        lower(trim(coalesce(campaign_members.email, contacts.email, leads.email))) as email,
        crm_links.account as known_account

    from campaign_members
    left join contacts
        on
            campaign_members.source = contacts.source
            and campaign_members.contact_id = contacts.contact_id
    left join leads
        on campaign_members.source = leads.source and campaign_members.lead_id = leads.lead_id
    left join crm_links
        on campaign_members.source = crm_links.source and contacts.account_id = crm_links.account_id

),

opportunity_dates as (

    select
        source,
        opportunity_id,
        unnest(['opportunity', 'won']) as step,
        cast(null as varchar) as stage,
        unnest([created_at, case when outcome = 'won' then closed_at end]) as occurred_at,
        false as is_imputed

    from opportunities

    union all

    select
        source,
        opportunity_id,
        'stage',
        label,
        entered_at,
        is_imputed

    from stage_visits

    union all

    select
        source,
        opportunity_id,
        'sql',
        null,
        min(entered_at),
        bool_and(is_imputed)

    from stage_visits
    where list_contains({{ lower_list(words.sql_stages) }}, lower(label))
    group by all

),

opportunity_steps as (

    select
        'crm' as silo,
        opportunity_dates.source,
        opportunity_dates.opportunity_id as record_id,
        opportunity_dates.step,
        opportunity_dates.stage,
        opportunity_dates.occurred_at,
        opportunities.created_at as belongs_at,
        opportunity_dates.is_imputed,
        opportunity_dates.step = 'opportunity'
        and coalesce(opportunities.opportunity_type, 'new_business') = 'new_business' as is_beginning,
        lower(trim(contacts.email)) as email,
        opportunities.account as known_account

    from opportunity_dates
    inner join opportunities
        on
            opportunity_dates.source = opportunities.source
            and opportunity_dates.opportunity_id = opportunities.opportunity_id
    left join contacts
        on
            opportunities.source = contacts.source
            and opportunities.primary_contact_id = contacts.contact_id

),

billing_records as (

    select
        source,
        customer_id,
        subscription_id as record_id,
        'subscribed' as step,
        coalesce(started_at, created_at) as occurred_at,
        coalesce(started_at, created_at) as belongs_at

    from subscriptions
    where coalesce(status, 'active') not in ('incomplete', 'incomplete_expired')

    union all

    -- A bill paid late is still one of the subscription it was written for.
    select
        invoices.source,
        invoices.customer_id,
        invoices.invoice_id,
        'paid',
        invoices.paid_at,
        coalesce(subscriptions.started_at, subscriptions.created_at, invoices.issued_at)

    from invoices
    left join subscriptions
        on
            invoices.source = subscriptions.source
            and invoices.subscription_id = subscriptions.subscription_id
    where invoices.amount_paid > 0

),

billing_steps as (

    select
        'billing' as silo,
        billing_records.source,
        billing_records.record_id,
        billing_records.step,
        billing_records.occurred_at,
        billing_records.belongs_at,
        billing_records.step = 'subscribed' as is_beginning,
        lower(trim(customers.email)) as email,
        billing_links.account as known_account

    from billing_records
    left join billing_links
        on
            billing_records.source = billing_links.source
            and billing_records.customer_id = billing_links.customer_id
    left join customers
        on
            billing_records.source = customers.source
            and billing_records.customer_id = customers.customer_id

),

customer_steps as (

    select
        'billing' as silo,
        source,
        subscription_id as record_id,
        'renewed' as step,
        renewed_at as occurred_at,
        due_at as belongs_at,
        account as known_account

    from renewals

    union all

    select
        'billing',
        source,
        subscription_id,
        step,
        occurred_at,
        churned_at,
        account

    from revenue_steps

),

all_steps as (

    select
        *,
        cast(null as varchar) as stage,
        cast(null as timestamptz) as belongs_at,
        false as is_imputed,
        false as is_beginning,
        cast(null as varchar) as known_account

    from email_steps
    union all by name
    select * from lead_steps
    union all by name
    select * from responses
    union all by name
    select * from opportunity_steps
    union all by name
    select * from billing_steps
    union all by name
    select * from customer_steps

),

identified as (

    select
        all_steps.*,
        coalesce(all_steps.known_account, people.account) as account,
        people.person

    from all_steps
    left join people
        on all_steps.email = people.email
    where all_steps.occurred_at < {{ as_of() }}

),

-- Who has no account yet travels with the other people of the company, or alone.
final as (

    select
        account,
        person,
        coalesce(
            account,
            -- The search for a domain takes long: not where an account is known.
            'domain:' || {{ company_domain('case when account is null then email end') }},
            person,
            silo || ':' || source || ':' || record_id
        ) as prospect,
        step,
        stage,
        occurred_at,
        coalesce(belongs_at, occurred_at) as belongs_at,
        silo,
        source,
        record_id,
        coalesce(is_imputed, false) as is_imputed,
        coalesce(is_beginning, false) as is_beginning

    from identified

)

select * from final
