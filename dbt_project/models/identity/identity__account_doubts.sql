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

facts as (

    select
        groups.label,
        groups.record,
        features.tax_number,
        replace(features.core, ' ', '') as name,
        features.parent_record,
        case when features.silo = 'crm' then features.domain end as domain,
        case when not features.is_deleted then named_customers.customers end as customers,
        apart.others as apart

    from groups
    inner join features
        on groups.record = features.record
    left join named_customers
        on groups.record = named_customers.record
    left join apart
        on groups.record = apart.record

),

-- What cannot clash, whatever the links, stays together unasked.
doubtful as (

    select label
    from facts
    group by label
    having
        count(distinct tax_number) > 1
        or count(distinct domain) > 1
        or count(distinct customers) > 1
        -- Fewer names are one company's at any domain: MOST_NAMES_AT_A_DOMAIN of identity.cuts.
        or count(distinct name) > 3
        or count(parent_record) > 0
        or count(apart) > 0

),

doubts as (

    select facts.* from facts
    semi join doubtful
        on facts.label = doubtful.label

),

keys as (

    {{ listed_links('links', 'doubts') }}

),

final as (

    select
        doubts.*,
        keys.links

    from doubts
    inner join keys
        on doubts.record = keys.record

)

select * from final
