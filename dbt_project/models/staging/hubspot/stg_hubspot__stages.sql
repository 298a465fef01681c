with

raw_stages as (

    select * from {{ raw_table('hubspot', 'stages') }}

),

final as (

    select
        source,
        pipeline_id as pipeline,
        stage_id as stage,
        label,
        display_order as position,
        cast(probability as decimal(18, 4)) as probability,
        case
            when not is_closed then 'open'
            when probability = 1 then 'won'
            else 'lost'
        end as outcome,
        is_deleted,
        _loaded_at as loaded_at

    from raw_stages

)

select * from final
