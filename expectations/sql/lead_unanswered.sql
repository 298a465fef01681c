-- People who came by themselves and whom nobody has called or written to, under any address of theirs. Three days of
-- grace, so that weekends pass.
with calls as (
    select source, lead_id, max(occurred_at) as called_at
    from crm.activities
    cross join gate_run as run
    where
        direction = 'outbound'
        and occurred_at < run.as_of
        and not coalesce(is_automated, false)
        and not coalesce(is_deleted, false)
        and lead_id is not null
    group by all
),

judged as (
    select
        leads.*,
        bool_or(
            leads.first_response_at is not null
            or leads.sql_at is not null
            or leads.converted_at is not null
            or coalesce(calls.called_at >= date_trunc('minute', leads.created_at), false)
        ) over (partition by coalesce(people.person, leads.source || ' ' || leads.lead_id)) as is_answered
    from crm.leads as leads
    left join calls
        on leads.source = calls.source and leads.lead_id = calls.lead_id
    left join gate_people as people
        on lower(trim(leads.email)) = people.email
    where not coalesce(leads.is_deleted, false) and leads.source in (select source from calls)
)

select
    judged.lead_id as key_left,
    'came ' || strftime(judged.created_at, '%Y-%m-%d') || coalesce(' by ' || judged.lead_source, '') as value_left,
    'no answer' as value_right,
    cast(0 as decimal(18, 4)) as money_at_risk,
    judged.created_at + interval 3 day as grace_until
from judged
cross join gate_run as run
where
    not judged.is_answered
    and judged.created_at + interval 3 day < run.as_of
    and coalesce(lower(judged.lead_source), '') not like '%outbound%'
