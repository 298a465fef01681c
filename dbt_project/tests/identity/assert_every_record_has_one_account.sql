-- Facts find their account by joining here: a CRM account or customer that is missing would drop out of every
-- total, and an account that is not listed would have revenue but no name.
with

accounts as (

    select * from {{ ref('identity__accounts') }}

),

records as (

    select
        'crm' as silo,
        source,
        account_id as record_id

    from {{ ref('crm__accounts') }}

    union

    select
        'billing' as silo,
        source,
        customer_id

    from {{ ref('billing__customers') }}
    where not coalesce(is_deleted, false)

    union

    select
        'billing' as silo,
        source,
        customer_id

    from {{ ref('billing__subscriptions') }}

    union

    select
        'billing' as silo,
        source,
        customer_id

    from {{ ref('billing__invoices') }}
    where customer_id is not null

),

links as (

    select
        'crm' as silo,
        source,
        account_id as record_id,
        account

    from {{ ref('identity__crm_accounts') }}

    union all

    select
        'billing' as silo,
        source,
        customer_id,
        account

    from {{ ref('identity__billing_customers') }}

)

select
    records.silo,
    records.source,
    records.record_id
from records
left join links
    on
        records.silo = links.silo
        and records.source = links.source
        and records.record_id = links.record_id
left join accounts
    on links.account = accounts.account
where accounts.account is null
