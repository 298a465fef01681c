with

raw_leads as (

    select * from {{ raw_table('mailshake', 'leads') }}

),

final as (

    select
        source,
        id as lead_id,
        campaign_id,
        recipient_id,
        email,
        case when status = 'opened' then 'open' else status end as status,
        assigned_to_email,
        created as created_at,
        case when status not in ('open', 'opened') then last_status_change_date end as closed_at,
        coalesce(last_status_change_date, created) as updated_at,
        _loaded_at as loaded_at

    from raw_leads

)

select * from final
