with

raw_stages as (

    select * from {{ raw_table('salesforce', 'opportunity_stages') }}

),

raw_record_types as (

    select * from {{ raw_table('salesforce', 'record_types') }}

),

raw_opportunities as (

    select * from {{ raw_table('salesforce', 'opportunities') }}

),

-- The pipeline of opportunities without a record type, which an organisation without record types only has.
pipelines as (

    select
        source,
        developer_name as pipeline,
        is_deleted

    from raw_record_types
    union all
    select distinct
        raw_stages.source,
        'default',
        false

    from raw_stages
    where
        exists (
            select 1 from raw_opportunities
            where raw_opportunities.source = raw_stages.source and raw_opportunities.record_type_id is null
        )
        or not exists (
            select 1 from raw_record_types
            where raw_record_types.source = raw_stages.source
        )

),

-- Retired stages keep their names, which later ones may take again: the stage in use counts.
stages as (

    select *
    from raw_stages
    qualify
        row_number() over (
            partition by source, api_name order by is_deleted, not is_active, sort_order, id
        ) = 1

),

final as (

    select
        stages.source,
        pipelines.pipeline,
        stages.api_name as stage,
        stages.master_label as label,
        stages.sort_order as position,
        cast(stages.default_probability / 100 as decimal(9, 4)) as probability,
        case
            when not stages.is_closed then 'open'
            when stages.is_won then 'won'
            else 'lost'
        end as outcome,
        stages.is_deleted or pipelines.is_deleted as is_deleted,
        stages._loaded_at as loaded_at

    from stages
    inner join pipelines
        on stages.source = pipelines.source
    -- Two record types of one name, in different namespaces.
    qualify
        row_number() over (
            partition by stages.source, pipelines.pipeline, stages.api_name order by pipelines.is_deleted
        ) = 1

)

select * from final
