with

raw_pipelines as (

    select * from {{ raw_table('pipedrive', 'pipelines') }}

),

raw_stages as (

    select * from {{ raw_table('pipedrive', 'stages') }}

),

-- Won and lost are a status in Pipedrive, without a name of its own in each pipeline; here they are its last
-- stages, called what other CRMs call them.
endings (outcome, label, renewal_label, place, probability) as (

    values ('won', 'Closed won', 'Renewed', 1, 1), ('lost', 'Closed lost', 'Not renewed', 2, 0)

),

last_stages as (

    select
        source,
        pipeline_id,
        max(order_nr) as order_nr

    from raw_stages
    group by all

),

stages as (

    select
        source,
        pipeline_id as pipeline,
        id as stage,
        name as label,
        order_nr as position,
        cast(deal_probability / 100 as decimal(18, 4)) as probability,
        'open' as outcome,
        is_deleted,
        update_time as updated_at,
        _loaded_at as loaded_at

    from raw_stages

),

closed_stages as (

    select
        raw_pipelines.source,
        raw_pipelines.id as pipeline,
        concat(raw_pipelines.id, '-', endings.outcome) as stage,
        case when lower(raw_pipelines.name) like '%renewal%' then endings.renewal_label else endings.label end
            as label,
        coalesce(last_stages.order_nr, 0) + endings.place as position,
        cast(endings.probability as decimal(18, 4)) as probability,
        endings.outcome,
        raw_pipelines.is_deleted,
        raw_pipelines.update_time as updated_at,
        raw_pipelines._loaded_at as loaded_at

    from raw_pipelines
    cross join endings
    left join last_stages
        on raw_pipelines.source = last_stages.source and raw_pipelines.id = last_stages.pipeline_id

),

final as (

    select * from stages
    union all by name
    select * from closed_stages

)

select * from final
