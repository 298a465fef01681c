with

raw_campaigns as (

    select * from {{ raw_table('salesforce', 'campaigns') }}

),

final as (

    select
        source,
        id as campaign_id,
        name,
        type as channel,
        cast(budgeted_cost as decimal(18, 4)) as budget,
        cast(actual_cost as decimal(18, 4)) as actual_cost,
        upper(currency_iso_code) as currency,
        is_deleted,
        timezone('UTC', cast(start_date as timestamp)) as started_at,
        timezone('UTC', cast(end_date as timestamp)) as ended_at,
        system_modstamp as updated_at,
        _loaded_at as loaded_at

    from raw_campaigns

)

select * from final
