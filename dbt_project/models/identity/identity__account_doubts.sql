with

features as (

    select * from {{ ref('identity__account_features') }}

),

groups as (

    select * from {{ ref('identity__account_groups') }}

),

links as (

    select * from {{ ref('identity__links') }}

),

overrides as (

    select * from {{ ref('identity__overrides') }}

),

apart as (

    {{ kept_apart('overrides') }}

),

named_customers as (

    select
        crm.record,
        list_sort(list(distinct customer.record)) as customers

    from links as crm
    inner join links as customer
        on crm.match_key = customer.match_key
    where
        crm.method in ('crm_account_id', 'billing_customer_id')
        and crm.record like 'crm:%'
        and customer.record like 'billing:%'
    group by crm.record

),

keys as (

    {{ listed_links('links') }}

),

facts as (

    select
        groups.label,
        groups.record,
        features.tax_number,
        replace(features.core, ' ', '') as name,
        features.parent_record,
        case when features.silo = 'crm' then features.domain end as domain,
        case when not features.is_deleted then named_customers.customers end as customers,
        apart.others as apart,
        keys.links

    from groups
    inner join features
        on groups.record = features.record
    inner join keys
        on groups.record = keys.record
    left join named_customers
        on groups.record = named_customers.record
    left join apart
        on groups.record = apart.record

),

final as (

    select * from facts
    qualify
        count(distinct tax_number) over (partition by label) > 1
        or count(distinct domain) over (partition by label) > 1
        or count(distinct customers) over (partition by label) > 1
        or count(distinct name) over (partition by label) > 1
        or count(parent_record) over (partition by label) > 0
        or count(apart) over (partition by label) > 0

)

select * from final
