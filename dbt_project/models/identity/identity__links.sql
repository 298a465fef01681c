-- A customer's explicit ids decide; without any the tax id does, then the e-mail address, then the domain,
-- then the name. What is ambiguous (an id two sources use, an address at two companies) links nothing.
with

crm_accounts as (

    select
        *,
        'crm:' || source || ':' || account_id as record,
        {{ company_domain('domain') }} as company_domain,
        {{ tax_number('tax_id') }} as tax_number

    from {{ ref('crm__accounts') }}

),

crm_contacts as (

    select * from {{ ref('crm__contacts') }}

),

billing_customers as (

    select
        *,
        'billing:' || source || ':' || customer_id as record,
        coalesce({{ company_domain('domain') }}, {{ company_domain('email') }}) as company_domain,
        {{ tax_number('tax_id') }} as tax_number

    from {{ ref('billing__customers') }}

),

features as (

    select * from {{ ref('identity__account_features') }}

),

scores as (

    select * from {{ ref('identity__account_scores') }}

),

overrides as (

    select * from {{ ref('identity__overrides') }}

),

-- An id says who is meant while one source only uses it.
customer_ids as (

    select
        customer_id,
        any_value(record) as record

    from billing_customers
    group by customer_id
    having count(*) = 1

),

account_ids as (

    select
        account_id,
        any_value(record) as record

    from crm_accounts
    group by account_id
    having count(*) = 1

),

named_by_crm as (

    select
        crm_accounts.record as crm_record,
        customer_ids.record as billing_record,
        'named_customer:' || crm_accounts.billing_customer_id as match_key,
        'billing_customer_id' as method,
        crm_accounts.billing_customer_id as evidence

    from crm_accounts
    left join customer_ids
        on crm_accounts.billing_customer_id = customer_ids.customer_id
    where nullif(crm_accounts.billing_customer_id, '') is not null

),

named_by_billing as (

    select
        account_ids.record as crm_record,
        billing_customers.record as billing_record,
        'named_account:' || billing_customers.crm_account_id as match_key,
        'crm_account_id' as method,
        billing_customers.crm_account_id as evidence

    from billing_customers
    left join account_ids
        on billing_customers.crm_account_id = account_ids.account_id
    where nullif(billing_customers.crm_account_id, '') is not null

),

explicit as (

    select * from named_by_crm
    union all
    select * from named_by_billing

),

not_named as (

    select billing_customers.* from billing_customers
    anti join explicit
        on billing_customers.record = explicit.billing_record and explicit.crm_record is not null

),

same_tax_number as (

    select not_named.record
    from not_named
    semi join crm_accounts
        on not_named.tax_number = crm_accounts.tax_number

),

by_address as (

    select
        not_named.record as billing_record,
        'contact:' || min(contacts.source || ':' || contacts.contact_id) as match_key,
        'contact ' || min(contacts.contact_id) as evidence,
        list(distinct crm_accounts.record) as crm_records

    from not_named
    inner join crm_contacts as contacts
        on {{ normal_email('not_named.email') }} = {{ normal_email('contacts.email') }}
    inner join crm_accounts
        on contacts.source = crm_accounts.source and contacts.account_id = crm_accounts.account_id
    anti join same_tax_number
        on not_named.record = same_tax_number.record
    group by not_named.record
    having count(distinct coalesce(crm_accounts.company_domain, crm_accounts.record)) = 1

),

crm_domains as (

    select distinct company_domain from crm_accounts
    where company_domain is not null

),

-- A domain that no CRM account has may be an accountant's, who pays for many.
by_domain as (

    select
        not_named.record,
        not_named.company_domain

    from not_named
    anti join same_tax_number
        on not_named.record = same_tax_number.record
    anti join by_address
        on not_named.record = by_address.billing_record
    semi join crm_domains
        on not_named.company_domain = crm_domains.company_domain

),

-- Customers of which nothing firmer than their name is known, and every CRM account.
known_by_name as (

    select features.*
    from features
    anti join explicit
        on features.record = explicit.billing_record and explicit.crm_record is not null
    anti join same_tax_number
        on features.record = same_tax_number.record
    anti join by_address
        on features.record = by_address.billing_record
    -- With the silo on its own the join would compare every row with every other.
    anti join crm_domains
        on case features.silo when 'billing' then features.domain end = crm_domains.company_domain

),

-- Two legal forms of a name are two companies; a record without one could then be either.
by_name as (

    select
        record,
        'name:' || min(record) over same_form as match_key,
        core,
        country

    from (
        select
            *,
            case
                when
                    min(legal_form) over (partition by core, country)
                    <> max(legal_form) over (partition by core, country)
                    then coalesce(legal_form, '')
            end as telling_form

        from known_by_name
        where core is not null and country is not null
    ) as names
    window same_form as (partition by core, country, telling_form)

),

likely as (

    select
        pairs.*,
        'pair:' || pairs.left_record || '|' || pairs.right_record as match_key

    from ({{ scored_pairs('scores') }}) as pairs
    semi join known_by_name as one
        on pairs.left_record = one.record
    semi join known_by_name as other
        on pairs.right_record = other.record
    where pairs.is_linked

),

merged as (

    select
        merger.record as merged_record,
        winner.record,
        'merged:' || winner.record as match_key,
        'into ' || winner.account_id as evidence

    from crm_accounts as merger
    inner join crm_accounts as winner
        on merger.source = winner.source and merger.merged_into_id = winner.account_id

),

decided as (

    select
        overrides.left_record,
        overrides.right_record,
        'override:' || overrides.left_record || '|' || overrides.right_record as match_key,
        concat_ws(': ', overrides.who, overrides.why) as evidence

    from overrides
    semi join features as one
        on overrides.left_record = one.record
    semi join features as other
        on overrides.right_record = other.record
    where overrides.action = 'link'

),

links as (

    select record, match_key, 'merged' as method, evidence, 1.0 as score from merged
    union all
    select merged_record, match_key, 'merged', evidence, 1.0 from merged
    union all
    select unnest([left_record, right_record]), match_key, 'override', evidence, 1.0 from decided
    union all
    select crm_record, match_key, method, evidence, 1.0 from explicit
    union all
    select billing_record, match_key, method, evidence, 1.0 from explicit
    union all
    select record, 'tax_id:' || tax_number, 'tax_id', tax_number, 0.995 from crm_accounts
    union all
    select record, 'tax_id:' || tax_number, 'tax_id', tax_number, 0.995 from not_named
    union all
    select billing_record, match_key, 'email', evidence, 0.99 from by_address
    union all
    select unnest(crm_records), match_key, 'email', evidence, 0.99 from by_address
    union all
    select record, 'domain:' || company_domain, 'domain', company_domain, 0.98 from crm_accounts
    union all
    select record, 'domain:' || company_domain, 'domain', company_domain, 0.98 from by_domain
    union all
    select record, match_key, 'name', 'name and country ' || country, 0.95 from by_name
    union all
    select unnest([left_record, right_record]), match_key, 'likeness', evidence, score from likely

),

-- A key that only one record has links nothing.
shared as (

    select match_key from links
    group by match_key
    having min(record) <> max(record)

),

final as (

    select distinct
        links.record,
        links.match_key,
        links.method,
        links.evidence,
        cast(links.score as double) as score

    from links
    semi join shared
        on links.match_key = shared.match_key
    where links.record is not null

)

select * from final
