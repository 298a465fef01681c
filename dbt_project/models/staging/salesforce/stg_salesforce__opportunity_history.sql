with

raw_opportunities as (

    select * from {{ raw_table('salesforce', 'opportunities') }}

),

raw_history as (

    select * from {{ raw_table('salesforce', 'opportunity_field_history') }}

),

raw_users as (

    select * from {{ raw_table('salesforce', 'users') }}

),

-- A change of owner is two rows, one with names and one with ids: the ids count.
changes as (

    select
        raw_history.source,
        raw_history.opportunity_id,
        case raw_history.field when 'ForecastCategory' then 'ForecastCategoryName' else raw_history.field end
            as field,
        raw_history.id,
        coalesce(raw_history.old_value, '') as old_value,
        coalesce(raw_history.new_value, '') as new_value,
        raw_history.created_date as changed_at,
        raw_history._loaded_at as loaded_at

    from raw_history
    where
        raw_history.field <> 'Owner'
        or exists (
            select 1 from raw_users
            where
                raw_users.source = raw_history.source
                and raw_users.id in (raw_history.old_value, raw_history.new_value)
        )

),

present as (

    select
        source,
        id as opportunity_id,
        unnest(['StageName', 'Amount', 'CloseDate', 'Owner', 'ForecastCategoryName']) as field,
        unnest([
            stage_name, cast(amount as varchar), cast(close_date as varchar), owner_id, forecast_category_name
        ]) as value,
        created_date as changed_at,
        _loaded_at as loaded_at

    from raw_opportunities

),

first_changes as (

    select
        source,
        opportunity_id,
        field,
        arg_min(old_value, (changed_at, id)) as old_value

    from changes
    group by all

),

-- Salesforce keeps changes only: a field began with what the first of them replaced, or with what it has.
beginnings as (

    select
        present.source,
        present.opportunity_id,
        present.field,
        '' as id,
        coalesce(first_changes.old_value, present.value) as new_value,
        present.changed_at,
        present.loaded_at

    from present
    left join first_changes
        on
            present.source = first_changes.source
            and present.opportunity_id = first_changes.opportunity_id
            and present.field = first_changes.field
    where nullif(coalesce(first_changes.old_value, present.value), '') is not null

),

every_value as (

    select * exclude (old_value) from changes
    union all by name
    select * from beginnings

),

-- Of several values set in one second only the last was ever visible.
lasting as (

    select
        source,
        opportunity_id,
        case field
            when 'StageName' then 'stage'
            when 'Amount' then 'amount'
            when 'CloseDate' then 'close_date'
            when 'Owner' then 'owner_id'
            when 'ForecastCategoryName' then 'forecast_category'
        end as field,
        changed_at,
        nullif(arg_max(new_value, id), '') as value,
        max(loaded_at) as loaded_at

    from every_value
    group by all

),

renamed as (

    select
        source,
        opportunity_id,
        field,
        case
            when field = 'amount' then cast(try_cast(value as decimal(18, 4)) as varchar)
            when field = 'close_date' then left(value, 10)
            when field = 'forecast_category' then {{ salesforce_forecast_category('value') }}
            else value
        end as new_value,
        changed_at,
        loaded_at

    from lasting

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
