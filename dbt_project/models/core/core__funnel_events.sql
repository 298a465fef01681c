with

email_events as (

    select * from {{ ref('email__events') }}
    where not coalesce(is_deleted, false)

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

opportunities as (

    select * from {{ ref('core__opportunities') }}

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

crm_links as (

    select * from {{ ref('identity__crm_accounts') }}

),

billing_links as (

    select * from {{ ref('identity__billing_customers') }}

),

people as (

    select * from {{ ref('identity__people') }}

),

-- Machines open mail and answer it, too: they are not engaged.
email_steps as (

    select
        'email' as silo,
        email_events.source,
        email_events.event_id as record_id,
        unnest(
            case
                when email_events.event_type = 'sent' then ['contacted']
                when email_events.is_machine then []
                when email_events.event_type = 'reply' then ['engaged', 'replied']
                when email_events.event_type in ('open', 'click') then ['engaged']
                else []
            end
        ) as step,
        email_events.occurred_at,
        lower(trim(coalesce(email_events.email, recipients.email))) as email,
        cast(null as varchar) as known_account

    from email_events
    left join recipients
        on
            email_events.source = recipients.source
            and email_events.recipient_id = recipients.recipient_id

),

lead_dates as (

    select
        source,
        lead_id,
        email,
        converted_account_id,
        unnest(['lead', 'mql', 'sql']) as step,
        unnest([created_at, mql_at, sql_at]) as occurred_at

    from leads

),

lead_steps as (

    select
        'crm' as silo,
        lead_dates.source,
        lead_dates.lead_id as record_id,
        lead_dates.step,
        lead_dates.occurred_at,
        lower(trim(lead_dates.email)) as email,
        crm_links.account as known_account

    from lead_dates
    left join crm_links
        on
            lead_dates.source = crm_links.source
            and lead_dates.converted_account_id = crm_links.account_id

),

opportunity_steps as (

    select
        'crm' as silo,
        opportunities.source,
        opportunities.opportunity_id as record_id,
        unnest(['opportunity', 'won']) as step,
        unnest([
            opportunities.created_at, case when opportunities.outcome = 'won' then opportunities.closed_at end
        ]) as occurred_at,
        lower(trim(contacts.email)) as email,
        opportunities.account as known_account

    from opportunities
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
        coalesce(started_at, created_at) as occurred_at

    from subscriptions
    where coalesce(status, 'active') not in ('incomplete', 'incomplete_expired')

    union all

    select
        source,
        customer_id,
        invoice_id,
        'paid',
        paid_at

    from invoices
    where amount_paid > 0

),

billing_steps as (

    select
        'billing' as silo,
        billing_records.source,
        billing_records.record_id,
        billing_records.step,
        billing_records.occurred_at,
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

all_steps as (

    select * from email_steps
    union all by name
    select * from lead_steps
    union all by name
    select * from opportunity_steps
    union all by name
    select * from billing_steps

),

-- Who has no account yet travels with the other people of the company, or alone.
observed as (

    select
        coalesce(all_steps.known_account, people.account) as account,
        people.person,
        coalesce(
            all_steps.known_account,
            people.account,
            'domain:' || {{ company_domain('all_steps.email') }},
            people.person,
            all_steps.silo || ':' || all_steps.source || ':' || all_steps.record_id
        ) as journey_id,
        all_steps.step,
        all_steps.occurred_at,
        all_steps.silo,
        all_steps.source,
        all_steps.record_id,
        false as is_imputed

    from all_steps
    left join people
        on all_steps.email = people.email
    where all_steps.occurred_at < {{ as_of() }}

),

-- Within a silo the steps follow on each other: who got to a later one has passed the earlier ones.
chain as (

    select
        unnest(['email', 'email', 'email', 'crm', 'crm', 'crm', 'crm', 'crm', 'billing', 'billing']) as silo,
        unnest([
            'contacted', 'engaged', 'replied',
            'lead', 'mql', 'sql', 'opportunity', 'won',
            'subscribed', 'paid'
        ]) as step,
        unnest(range(1, 11)) as position

),

first_times as (

    select
        observed.journey_id,
        observed.step,
        chain.silo,
        chain.position,
        any_value(observed.account) as account,
        arg_min(
            struct_pack(
                person := observed.person, occurred_at := observed.occurred_at, source := observed.source,
                record_id := observed.record_id
            ),
            (observed.occurred_at, observed.source, observed.record_id)
        ) as event

    from observed
    inner join chain
        on observed.step = chain.step
    group by all

),

-- Only steps that this company takes note of at all: nobody skips what nobody records.
recorded_steps as (

    select chain.* from chain
    semi join first_times
        on chain.step = first_times.step

),

imputed as (

    select
        first_times.account,
        arg_min(
            first_times.event, (first_times.event.occurred_at, first_times.position)
        ) as event,
        first_times.journey_id,
        recorded_steps.step,
        recorded_steps.silo

    from first_times
    inner join recorded_steps
        on first_times.silo = recorded_steps.silo and first_times.position > recorded_steps.position
    anti join first_times as reached
        on first_times.journey_id = reached.journey_id and recorded_steps.step = reached.step
    group by all

),

final as (

    select * from observed
    union all by name
    select
        account,
        journey_id,
        step,
        silo,
        unnest(event),
        true as is_imputed

    from imputed

)

select * from final
