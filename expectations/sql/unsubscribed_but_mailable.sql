-- People who asked one silo for no more mail and whom the other would still write to, or did.
with asked as (
    select
        people.person,
        min(requests.at) as at,
        arg_min(requests.recipient_id, requests.at) as recipient_id
    from (
        select email, recipient_id, unsubscribed_at as at from email.recipients
        where unsubscribed_at is not null
        union all
        select coalesce(events.email, recipients.email), events.recipient_id, events.occurred_at
        from email.events as events
        left join email.recipients as recipients
            on events.source = recipients.source and events.recipient_id = recipients.recipient_id
        where events.event_type in ('unsubscribe', 'complaint')
    ) as requests
    inner join gate_people as people
        on lower(trim(requests.email)) = people.email
    cross join gate_run as run
    where requests.at + interval 1 day < run.as_of
    group by people.person
),

-- Since when the CRM says so at the latest: its record has not changed since.
refused as (
    select
        people.person,
        min(contacts.updated_at) as at,
        arg_min(contacts.contact_id, contacts.updated_at) as contact_id
    from crm.contacts as contacts
    inner join gate_people as people
        on lower(trim(contacts.email)) = people.email
    where contacts.email_opt_out and not coalesce(contacts.is_deleted, false)
    group by people.person
)

select
    'email' as silo_left,
    asked.recipient_id as key_left,
    'unsubscribed ' || strftime(asked.at, '%Y-%m-%d') as value_left,
    'crm' as silo_right,
    contacts.contact_id as key_right,
    'may be mailed' as value_right,
    cast(0 as decimal(18, 4)) as money_at_risk,
    asked.at + interval 1 day as grace_until
from asked
inner join gate_people as people
    on asked.person = people.person
inner join crm.contacts as contacts
    on people.email = lower(trim(contacts.email))
where not coalesce(contacts.email_opt_out, false) and not coalesce(contacts.is_deleted, false)
union all
select
    'crm',
    refused.contact_id,
    'no mail since ' || strftime(refused.at, '%Y-%m-%d'),
    'email',
    events.recipient_id,
    'mailed until ' || strftime(max(events.occurred_at), '%Y-%m-%d'),
    0,
    refused.at + interval 1 day
from refused
inner join gate_people as people
    on refused.person = people.person
inner join email.recipients as recipients
    on people.email = lower(trim(recipients.email))
inner join email.events as events
    on recipients.source = events.source and recipients.recipient_id = events.recipient_id
cross join gate_run as run
where events.event_type = 'sent' and events.occurred_at < run.as_of
group by refused.contact_id, refused.at, events.recipient_id
having max(events.occurred_at) > refused.at + interval 1 day
