with

raw_persons as (

    select * from {{ raw_table('pipedrive', 'persons') }}

),

addresses as (

    select
        source,
        id,
        unnest(from_json(emails, '[{"value": "VARCHAR", "primary": "BOOLEAN"}]')) as address

    from raw_persons

),

emails as (

    select
        source,
        id,
        arg_min(address['value'], (not address['primary'], address['value'])) as email

    from addresses
    where address['value'] != ''
    group by all

),

final as (

    select
        raw_persons.source,
        raw_persons.id as contact_id,
        raw_persons.org_id as account_id,
        raw_persons.owner_id,
        lower(trim(emails.email)) as email,
        raw_persons.first_name,
        raw_persons.last_name,
        raw_persons.job_title,
        replace(lower(raw_persons.lifecycle_stage), ' ', '') as lifecycle_stage,
        coalesce(lower(raw_persons.email_opt_out) in ('yes', 'true', '1'), false) as email_opt_out,
        raw_persons.is_deleted,
        raw_persons.add_time as created_at,
        raw_persons.update_time as updated_at,
        raw_persons._loaded_at as loaded_at

    from raw_persons
    left join emails
        on raw_persons.source = emails.source and raw_persons.id = emails.id

)

select * from final
