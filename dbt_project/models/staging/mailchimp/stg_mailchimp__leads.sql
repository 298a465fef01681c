with

contacts as (

    select * from {{ ref('stg_mailchimp__contacts') }}

),

recipients as (

    select * from {{ ref('stg_mailchimp__recipients') }}

),

final as (

    select
        contacts.source,
        contacts.recipient_id as lead_id,
        recipients.campaign_id,
        contacts.recipient_id,
        contacts.email,
        contacts.lead_status as status,
        contacts.lead_owner_email as assigned_to_email,
        contacts.is_deleted,
        contacts.lead_opened_at as created_at,
        contacts.lead_closed_at as closed_at,
        contacts.updated_at,
        contacts.loaded_at

    from contacts
    inner join recipients
        on contacts.source = recipients.source and contacts.recipient_id = recipients.recipient_id
    where contacts.lead_status is not null

)

select * from final
