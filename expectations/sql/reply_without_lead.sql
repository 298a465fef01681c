-- People who answered a campaign and are not in the CRM as a lead, under any address of theirs.
with replies as (
    select
        events.source,
        events.recipient_id,
        lower(trim(coalesce(events.email, recipients.email))) as email,
        min(events.occurred_at) as replied_at
    from email.events as events
    left join email.recipients as recipients
        on events.source = recipients.source and events.recipient_id = recipients.recipient_id
    where events.event_type = 'reply' and not coalesce(events.is_machine, false)
    group by all
)

select
    replies.recipient_id as key_left,
    'replied ' || strftime(replies.replied_at, '%Y-%m-%d') as value_left,
    'no lead' as value_right,
    cast(0 as decimal(18, 4)) as money_at_risk,
    replies.replied_at + interval 1 day as grace_until
from replies
cross join gate_run as run
left join gate_people as people
    on replies.email = people.email
where
    replies.replied_at + interval 1 day < run.as_of
    and not exists (
        select 1
        from crm.leads as leads
        inner join gate_people as known
            on lower(trim(leads.email)) = known.email
        where
            known.person = people.person
            and leads.created_at < run.as_of
            and not coalesce(leads.is_deleted, false)
    )
