-- Events name a contact by audience and address (its hash). Who was deleted before the first load, or whose
-- audience was, is known by what was sent to them alone.
with

raw_members as (

    select * from {{ raw_table('mailchimp', 'members') }}

),

raw_sends as (

    select * from {{ raw_table('mailchimp', 'sends') }}

),

members as (

    select
        source,
        list_id,
        id as email_id,
        web_id as recipient_id,
        email_address as email,
        nullif(json_extract_string(merge_fields, '$.FNAME'), '') as first_name,
        nullif(json_extract_string(merge_fields, '$.LNAME'), '') as last_name,
        nullif(json_extract_string(merge_fields, '$.COMPANY'), '') as company_name,
        nullif(json_extract_string(merge_fields, '$.LEADSTATUS'), '') as lead_status,
        nullif(json_extract_string(merge_fields, '$.LEADOWNER'), '') as lead_owner_email,
        try_cast(json_extract_string(merge_fields, '$.LEADOPENED') as timestamptz) as lead_opened_at,
        try_cast(json_extract_string(merge_fields, '$.LEADCLOSED') as timestamptz) as lead_closed_at,
        status,
        coalesce(timestamp_opt, timestamp_signup) as added_at,
        last_changed as updated_at,
        coalesce(is_deleted, false) as is_deleted,
        _loaded_at as loaded_at

    from raw_members

),

-- An address that was deleted and added again is another contact; events are the present one's.
addresses as (

    select
        *,
        row_number() over (
            partition by source, list_id, email_id order by is_deleted asc, updated_at desc, recipient_id asc
        ) = 1 as has_events

    from members

),

strangers as (

    select
        raw_sends.source,
        raw_sends.list_id,
        raw_sends.email_id,
        raw_sends.list_id || '-' || raw_sends.email_id as recipient_id,
        any_value(raw_sends.email_address) as email,
        true as is_deleted,
        true as has_events,
        max(raw_sends._loaded_at) as loaded_at

    from raw_sends
    anti join members
        on
            raw_sends.source = members.source
            and raw_sends.list_id = members.list_id
            and raw_sends.email_id = members.email_id
    group by all

),

final as (

    select * from addresses
    union all by name
    select * from strangers

)

select * from final
