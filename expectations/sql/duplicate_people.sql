-- People whom one CRM holds more than once, as contacts or as leads, under one e-mail address.
with people as (
    select 'contact' as kind, source, contact_id as record_id, lower(trim(email)) as email, created_at
    from crm.contacts
    where not coalesce(is_deleted, false)
    union all
    -- In some CRMs a lead is a stage of a contact.
    select 'lead', source, lead_id, lower(trim(email)), created_at
    from crm.leads
    where
        not coalesce(is_deleted, false) and converted_at is null
        and not exists (
            select 1 from crm.contacts
            where contacts.source = leads.source and contacts.contact_id = leads.lead_id
        )
),

ranked as (
    select *, first_value(record_id) over records as oldest_id, row_number() over records as position
    from people
    where email <> ''
    window records as (partition by kind, source, email order by created_at, length(record_id), record_id)
)

select
    oldest_id as key_left,
    'first ' || kind || ' with this address' as value_left,
    record_id as key_right,
    'same address' as value_right,
    cast(0 as decimal(18, 4)) as money_at_risk
from ranked
where position > 1
