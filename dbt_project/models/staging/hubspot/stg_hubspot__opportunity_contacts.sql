with

raw_deal_contacts as (

    select * from {{ raw_table('hubspot', 'deal_contacts') }}

),

final as (

    select
        source,
        deal_id as opportunity_id,
        contact_id,
        case
            when contains(cast(association_types as varchar), '"label":"Primary contact"') then 'primary'
        end as role,
        contains(cast(association_types as varchar), '"label":"Primary contact"') as is_primary,
        is_deleted,
        _loaded_at as loaded_at

    from raw_deal_contacts

)

select * from final
