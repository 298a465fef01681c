{#- What is worked out of a record's own columns. -#}
{%- set normalised -%}
            nullif(lower(trim(email)), '') as email,
            {{ name_words('first_name') }} as first_name,
            {{ name_words('last_name') }} as last_name,
            coalesce(is_deleted, false) as is_deleted
{%- endset -%}
{%- set described -%}
        split_part(email_key, '@', 1) as mailbox,
        {{ company_domain('email') }} as email_domain,
        first_name,
        last_name,
        birth_date,
        {{ name_words('city') }} as city,
        coalesce(employer, company_words) as company,
        case
            when kind = 'contact' and not is_deleted then account
        end as works_at,
        account,
        -- Of the records with one address and name, one is compared.
        (first_name is not null or last_name is not null)
        and row_number() over (
            partition by coalesce(email_key, record), first_name, last_name, birth_date, city
            order by trust, employer is null, record
        ) = 1 as is_compared,
        is_deleted,
        created_at,
        -- Who is named by what is not deleted: some vendors forget deleted records altogether.
        {{ seniority('(cast(is_deleted as integer) * 8 + trust)') }} as seniority
{%- endset -%}
with

contacts as (

    select * from {{ ref('crm__contacts') }}

),

leads as (

    select * from {{ ref('crm__leads') }}

),

recipients as (

    select * from {{ ref('email__recipients') }}

),

events as (

    select * from {{ ref('email__events') }}

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

account_features as (

    select * from {{ ref('identity__account_features') }}

),

account_records as (

    select * from {{ ref('identity__records') }}

),

-- What only an event knows: an address that its recipient's record does not have.
event_addresses as (

    select
        events.source,
        events.recipient_id,
        events.email,
        min(events.event_id) as event_id,
        min(events.occurred_at) as occurred_at

    from events
    left join recipients
        on events.source = recipients.source and events.recipient_id = recipients.recipient_id
    where
        nullif(trim(events.email), '') is not null
        and lower(trim(events.email)) is distinct from lower(trim(recipients.email))
    group by events.source, events.recipient_id, events.email

),

sightings as (

    select
        1 as trust,
        'contact' as kind,
        contacts.source,
        contacts.contact_id as record_id,
        contacts.email,
        contacts.first_name,
        contacts.last_name,
        contacts.birth_date,
        contacts.city,
        cast(null as varchar) as company_name,
        contacts.created_at,
        contacts.is_deleted,
        crm_links.account

    from contacts
    left join crm_links
        on contacts.source = crm_links.source and contacts.account_id = crm_links.account_id

    union all

    select
        2,
        'lead',
        leads.source,
        leads.lead_id,
        leads.email,
        leads.first_name,
        leads.last_name,
        null,
        null,
        leads.company_name,
        leads.created_at,
        leads.is_deleted,
        crm_links.account

    from leads
    left join crm_links
        on leads.source = crm_links.source and leads.converted_account_id = crm_links.account_id

    union all

    select
        3,
        'customer',
        customers.source,
        customers.customer_id,
        customers.email,
        null,
        null,
        null,
        null,
        null,
        customers.created_at,
        customers.is_deleted,
        billing_links.account

    from customers
    inner join billing_links
        on customers.source = billing_links.source and customers.customer_id = billing_links.customer_id
    where nullif(trim(customers.email), '') is not null

    union all

    select
        4,
        'recipient',
        source,
        recipient_id,
        email,
        first_name,
        last_name,
        null,
        null,
        company_name,
        added_at,
        is_deleted,
        null

    from recipients

    union all

    select
        5,
        'event',
        source,
        event_id,
        email,
        null,
        null,
        null,
        null,
        null,
        occurred_at,
        false,
        null

    from event_addresses

),

-- A company's name tells the account while only one has it.
names as (

    select
        account_features.core,
        any_value(account_records.account) as account

    from account_features
    inner join account_records
        on
            account_features.silo = account_records.silo
            and account_features.source = account_records.source
            and account_features.record_id = account_records.record_id
    where account_features.core is not null
    group by account_features.core
    having count(distinct account_records.account) = 1

),

written as (

    select distinct
        company_name,
        {{ name_words('company_name') }} as company_words

    from sightings
    where company_name is not null

),

companies as (

    select
        written.company_name,
        written.company_words,
        names.account

    from written
    left join names
        on {{ core_name('written.company_words') }} = names.core

),

records as (

    select
        sightings.* exclude (company_name),  -- noqa: RF02
        coalesce(sightings.account, companies.account) as employer,
        companies.company_words

    from sightings
    left join companies
        on sightings.company_name = companies.company_name

),

printed as (

    select
        kind || ':' || source || ':' || record_id as record,
        *,
        {{ fingerprint(normalised ~ described, 'records') }} as fingerprint

    from records

),

changed as (

    select printed.* from printed
    {{ unless_known() }}

),

{% if is_incremental() -%}
-- Whoever shares an address with a changed record, now or before, may be compared in its place.
addresses as (

    select {{ normal_email('email') }} as email_key from changed
    union
    select known.email_key from {{ this }} as known
    anti join printed using (record, fingerprint)

),

shared as (

    select known.record from {{ this }} as known
    semi join addresses
        on known.email_key = addresses.email_key

),

neighbours as (

    select printed.* from printed
    semi join shared
        on printed.record = shared.record
    anti join changed
        on printed.record = changed.record

),
{%- endif %}

affected as (

    select * from changed
    {%- if is_incremental() %}
    union all
    select * from neighbours
    {%- endif %}

),

named as (

    select
        * replace ({{ normalised }}),
        {{ normal_email('email') }} as email_key

    from affected

),

final as (

    select
        record,
        fingerprint,
        kind,
        source,
        record_id,
        trust,
        email,
        email_key,
        {{ described }}

    from named
    {{ and_gone('printed') }}

)

select * from final
