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

accounts as (

    select * from {{ ref('identity__accounts') }}

),

sightings as (

    select
        1 as trust,
        contacts.email,
        'contact:' || contacts.source || ':' || contacts.contact_id as record,
        contacts.created_at,
        contacts.is_deleted,
        crm_links.account

    from contacts
    left join crm_links
        on contacts.source = crm_links.source and contacts.account_id = crm_links.account_id

    union all

    select
        2,
        leads.email,
        'lead:' || leads.source || ':' || leads.lead_id,
        leads.created_at,
        leads.is_deleted,
        crm_links.account

    from leads
    left join crm_links
        on leads.source = crm_links.source and leads.converted_account_id = crm_links.account_id

    union all

    select
        3,
        customers.email,
        'customer:' || customers.source || ':' || customers.customer_id,
        customers.created_at,
        customers.is_deleted,
        billing_links.account

    from customers
    inner join billing_links
        on customers.source = billing_links.source and customers.customer_id = billing_links.customer_id

    union all

    select
        4,
        email,
        'recipient:' || source || ':' || recipient_id,
        added_at,
        is_deleted,
        null

    from recipients

    union all

    select
        5,
        email,
        'recipient:' || source || ':' || recipient_id,
        min(occurred_at),
        false,
        null

    from events
    group by all

),

addresses as (

    select
        trust,
        lower(trim(email)) as email,
        record,
        created_at,
        coalesce(is_deleted, false) as is_deleted,
        account

    from sightings
    where nullif(trim(email), '') is not null

),

-- Where the silos disagree the most trusted one counts; where that one names two accounts nobody knows.
placed as (

    select
        email,
        case when count(distinct account) = 1 then any_value(account) end as account

    from addresses
    where account is not null
    group by email, trust
    qualify trust = min(trust) over (partition by email)

),

domains as (

    select
        domain,
        any_value(account) as account

    from accounts
    where domain is not null
    group by domain
    having count(*) = 1

),

-- A deleted record names a person only while nothing else does: some vendors forget it altogether.
people as (

    select
        email,
        arg_min(record, (is_deleted, trust, coalesce(created_at, 'infinity'), record)) as person

    from addresses
    group by email

),

final as (

    select
        people.email,
        people.person,
        case when placed.email is not null then placed.account else domains.account end as account

    from people
    left join placed
        on people.email = placed.email
    left join domains
        on {{ company_domain('people.email') }} = domains.domain

)

select * from final
