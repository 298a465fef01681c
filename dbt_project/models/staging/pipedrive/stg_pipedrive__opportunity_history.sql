with

deal_values as (

    select * from {{ ref('stg_pipedrive__deal_values') }}

),

raw_deals as (

    select * from {{ raw_table('pipedrive', 'deals') }}

),

raw_stages as (

    select * from {{ raw_table('pipedrive', 'stages') }}

),

moments as (

    select
        source,
        deal_id,
        changed_at,
        max(value) filter (where field = 'stage_id') as stage_id,
        max(value) filter (where field = 'status') as status,
        max(coalesce(value, '')) filter (where field = 'expected_close_date') as expected_close_date,
        max(loaded_at) as loaded_at

    from deal_values
    where field in ('stage_id', 'status', 'expected_close_date')
    group by all

),

-- What a deal was at each of these moments: where it stood, whether it was closed and since when.
standing as (

    select
        source,
        deal_id,
        changed_at,
        loaded_at,
        last_value(stage_id ignore nulls) over so_far as stage_id,
        last_value(status ignore nulls) over so_far as status,
        last_value(case when status is not null then changed_at end ignore nulls) over so_far as status_since,
        last_value(expected_close_date ignore nulls) over so_far as expected_close_date

    from moments
    window so_far as (
        partition by source, deal_id order by changed_at rows between unbounded preceding and current row
    )

),

staged as (

    select
        standing.source,
        standing.deal_id,
        standing.changed_at,
        case
            when standing.status in ('won', 'lost')
                then concat(coalesce(raw_stages.pipeline_id, raw_deals.pipeline_id), '-', standing.status)
            else standing.stage_id
        end as stage,
        case
            when standing.status in ('won', 'lost')
                then cast(cast(timezone('UTC', standing.status_since) as date) as varchar)
            else nullif(standing.expected_close_date, '')
        end as close_date,
        standing.loaded_at

    from standing
    inner join raw_deals
        on standing.source = raw_deals.source and standing.deal_id = raw_deals.id
    left join raw_stages
        on standing.source = raw_stages.source and standing.stage_id = raw_stages.id

),

renamed as (

    select
        source,
        deal_id as opportunity_id,
        'stage' as field,
        stage as new_value,
        changed_at,
        loaded_at

    from staged
    union all
    select
        source,
        deal_id as opportunity_id,
        'close_date' as field,
        close_date as new_value,
        changed_at,
        loaded_at

    from staged
    union all
    select
        source,
        deal_id as opportunity_id,
        case field when 'value' then 'amount' else field end as field,
        case field when 'forecast_category' then replace(lower(value), ' ', '_') else value end as new_value,
        changed_at,
        loaded_at

    from deal_values
    where field in ('value', 'owner_id', 'forecast_category')

),

compared as (

    select
        *,
        lag(new_value) over (partition by source, opportunity_id, field order by changed_at) as old_value

    from renamed

),

final as (

    select
        source,
        opportunity_id,
        field,
        old_value,
        new_value,
        changed_at,
        loaded_at

    from compared
    where new_value is distinct from old_value

)

select * from final
