with recursive  -- noqa: PRS

crm_accounts as (

    select * from {{ ref('crm__accounts') }}

),

billing_customers as (

    select * from {{ ref('billing__customers') }}

),

subscriptions as (

    select * from {{ ref('billing__subscriptions') }}

),

invoices as (

    select * from {{ ref('billing__invoices') }}

),

links as (

    select * from {{ ref('identity__links') }}

),

-- Customers whom only their subscriptions or invoices name: their revenue has an account too.
named_customers as (

    select source, customer_id from subscriptions
    union
    select source, customer_id from invoices

),

-- A customer deleted before anything was sold to it is a mistake made good, which some vendors do not even list.
known_customers as (

    select billing_customers.*
    from billing_customers
    left join named_customers
        on
            billing_customers.source = named_customers.source
            and billing_customers.customer_id = named_customers.customer_id
    where not coalesce(billing_customers.is_deleted, false) or named_customers.customer_id is not null

),

records as (

    select
        'crm:' || source || ':' || account_id as record,
        'crm' as silo,
        source,
        account_id as record_id,
        created_at

    from crm_accounts

    union all

    select
        'billing:' || source || ':' || customer_id,
        'billing',
        source,
        customer_id,
        created_at

    from known_customers

    union all

    select
        'billing:' || named_customers.source || ':' || named_customers.customer_id,
        'billing',
        named_customers.source,
        named_customers.customer_id,
        null

    from named_customers
    anti join billing_customers
        on
            named_customers.source = billing_customers.source
            and named_customers.customer_id = billing_customers.customer_id
    where named_customers.customer_id is not null

),

-- Every key's records, tied to one of them.
hubs as (

    select
        record,
        min(record) over (partition by match_key) as hub

    from links
    semi join records
        on links.record = records.record

),

edges as (

    select record, hub as neighbour from hubs
    where record <> hub
    union
    select hub, record from hubs
    where record <> hub

),

-- Links reach on over links: the smallest label spreads until nothing changes.
components (record, label) using key (record) as (

    select record, record as label from records
    union
    (
        select
            edges.record,
            min(components.label) as label

        from components
        inner join edges
            on components.record = edges.neighbour
        inner join recurring.components as known
            on edges.record = known.record
        group by edges.record
        having min(components.label) < any_value(known.label)
    )

),

-- The oldest CRM record names the account, so that later records do not rename it.
named as (

    select
        label,
        arg_min(records.record, (records.silo <> 'crm', coalesce(records.created_at, 'infinity'), records.record))
            as account

    from components
    inner join records
        on components.record = records.record
    group by label

),

-- What ties a record to the others of its account, the firmest first.
reasons as (

    select
        record,
        arg_min(
            struct_pack(method := method, evidence := evidence),
            (
                list_position(['crm_account_id', 'billing_customer_id', 'tax_id', 'email', 'domain'], method),
                evidence
            )
        ) as reason

    from links
    group by record

),

final as (

    select
        records.silo,
        records.source,
        records.record_id,
        named.account,
        coalesce(reasons.reason.method, 'none') as method,
        reasons.reason.evidence as evidence,
        records.created_at

    from records
    inner join components
        on records.record = components.record
    inner join named
        on components.label = named.label
    left join reasons
        on records.record = reasons.record

)

select * from final
