with

raw_deal_history as (

    select * from {{ raw_table('hubspot', 'deal_history') }}

),

renamed as (

    select
        source,
        deal_id as opportunity_id,
        case property
            when 'dealstage' then 'stage'
            when 'closedate' then 'close_date'
            when 'hubspot_owner_id' then 'owner_id'
            when 'hs_manual_forecast_category' then 'forecast_category'
            else property
        end as field,
        case
            when property = 'closedate' then left(nullif(value, ''), 10)
            when property = 'hs_manual_forecast_category' and value = 'OMIT' then 'omitted'
            when property = 'hs_manual_forecast_category' then lower(nullif(value, ''))
            else nullif(value, '')
        end as new_value,
        changed_at,
        _loaded_at as loaded_at

    from raw_deal_history

),

final as (

    select
        source,
        opportunity_id,
        field,
        lag(new_value) over (partition by source, opportunity_id, field order by changed_at) as old_value,
        new_value,
        changed_at,
        loaded_at

    from renamed

)

select * from final
