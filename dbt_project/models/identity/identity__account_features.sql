{#- What is worked out of a record's own columns. -#}
{%- set described -%}
{{ core_name('words') }} as core,
        replace(words, ' ', '') as letters,
        array_to_string(list_sort(string_split(words, ' ')), '') as sorted_letters,
        {{ legal_form('words') }} as legal_form,
        nullif(array_to_string(regexp_extract_all(words, '\b\d+\b'), ' '), '') as numbers,
        {{ country_code('country') }} as country,
        coalesce({{ company_domain('domain') }}, {{ company_domain('email') }}) as domain,
        {{ tax_number('tax_id') }} as tax_number,
        parent_record,
        is_deleted,
        created_at,
        -- The oldest CRM record names the account.
        {{ seniority("cast(silo <> 'crm' as integer)") }} as seniority
{%- endset -%}
{%- set words = name_words('name') -%}
with

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

-- Customers whom only their subscriptions or invoices name: their revenue has an account too.
named_customers as (

    select source, customer_id from subscriptions
    union
    select source, customer_id from invoices

),

-- A customer deleted before anything was sold to it is a mistake made good; some vendors do not even list it.
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
        'crm' as silo,
        source,
        account_id as record_id,
        created_at,
        coalesce(is_deleted, false) as is_deleted,
        name,
        country,
        domain,
        cast(null as varchar) as email,
        tax_id,
        'crm:' || source || ':' || parent_account_id as parent_record

    from crm_accounts

    union all

    select
        'billing',
        source,
        customer_id,
        created_at,
        coalesce(is_deleted, false),
        name,
        country,
        domain,
        email,
        tax_id,
        null

    from known_customers

    union all

    select
        'billing',
        named_customers.source,
        named_customers.customer_id,
        null,
        false,
        null,
        null,
        null,
        null,
        null,
        null

    from named_customers
    anti join billing_customers
        on
            named_customers.source = billing_customers.source
            and named_customers.customer_id = billing_customers.customer_id
    where named_customers.customer_id is not null

),

printed as (

    select
        silo || ':' || source || ':' || record_id as record,
        *,
        {{ fingerprint(words ~ described, 'records') }} as fingerprint

    from records

),

changed as (

    select printed.* from printed
    {{ unless_known() }}

),

named as (

    select
        *,
        {{ words }} as words

    from changed

),

final as (

    select
        record,
        fingerprint,
        silo,
        source,
        record_id,
        words,
        {{ described }}

    from named
    {{ and_gone('printed') }}

)

select * from final
