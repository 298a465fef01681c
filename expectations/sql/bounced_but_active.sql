-- Addresses that bounced for good, that nobody has heard from since, and that the CRM still mails.
with bounced as (
    select
        lower(trim(coalesce(events.email, recipients.email))) as email,
        max(events.occurred_at) filter (where events.bounce_type = 'hard') as bounced_at,
        arg_max(events.recipient_id, events.occurred_at) filter (where events.bounce_type = 'hard') as recipient_id,
        max(events.occurred_at) filter (
            where events.event_type in ('delivered', 'open', 'click', 'reply')
            and not coalesce(events.is_machine, false)
        ) as heard_at
    from email.events as events
    left join email.recipients as recipients
        on events.source = recipients.source and events.recipient_id = recipients.recipient_id
    cross join gate_run as run
    where events.occurred_at < run.as_of
    group by all
)

select
    bounced.recipient_id as key_left,
    'bounced ' || strftime(bounced.bounced_at, '%Y-%m-%d') as value_left,
    contacts.contact_id as key_right,
    'same address, may be mailed' as value_right,
    cast(0 as decimal(18, 4)) as money_at_risk
from bounced
inner join crm.contacts as contacts
    on bounced.email = lower(trim(contacts.email))
where
    bounced.bounced_at is not null
    and coalesce(bounced.heard_at < bounced.bounced_at, true)
    and not coalesce(contacts.email_opt_out, false)
    and not coalesce(contacts.is_deleted, false)
