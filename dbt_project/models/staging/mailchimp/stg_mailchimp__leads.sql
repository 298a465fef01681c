-- Mailchimp has no leads. Who keeps track of them there does so in merge fields of their own.
with

raw_members as (

    select * from {{ raw_table('mailchimp', 'members') }}

),

recipients as (

    select * from {{ ref('stg_mailchimp__recipients') }}

),

tracked as (

    select
        source,
        web_id,
        nullif(lower(json_extract_string(merge_fields, '$.LEADSTATUS')), '') as status,
        nullif(json_extract_string(merge_fields, '$.LEADOWNER'), '') as assigned_to_email,
        try_cast(nullif(json_extract_string(merge_fields, '$.LEADOPENED'), '') as timestamptz) as created_at,
        try_cast(nullif(json_extract_string(merge_fields, '$.LEADCLOSED'), '') as timestamptz) as closed_at

    from raw_members
    qualify row_number() over (
        partition by source, web_id
        order by coalesce(is_deleted, false) asc, last_changed desc, id asc
    ) = 1

),

final as (

    select
        tracked.source,
        tracked.web_id as lead_id,
        recipients.campaign_id,
        recipients.recipient_id,
        recipients.email,
        tracked.status,
        tracked.assigned_to_email,
        recipients.is_deleted,
        tracked.created_at,
        tracked.closed_at,
        recipients.updated_at,
        recipients.loaded_at

    from tracked
    inner join recipients
        on tracked.web_id = recipients.recipient_id and tracked.source = recipients.source
    where tracked.status is not null

)

select * from final
