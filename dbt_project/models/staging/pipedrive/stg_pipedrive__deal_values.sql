with

raw_deals as (

    select * from {{ raw_table('pipedrive', 'deals') }}

),

raw_deal_changes as (

    select * from {{ raw_table('pipedrive', 'deal_changes') }}

),

changes as (

    select
        source,
        deal_id,
        case field_key when 'user_id' then 'owner_id' else field_key end as field,
        old_value,
        new_value as value,
        log_time as changed_at,
        id,
        _loaded_at

    from raw_deal_changes

),

first_changes as (

    select
        source,
        deal_id,
        field,
        arg_min(coalesce(old_value, ''), (changed_at, id)) as old_value

    from changes
    group by all

),

present as (

    select
        source,
        id as deal_id,
        stage_id,
        case when status in ('open', 'won', 'lost') then status end as status,
        cast(value as varchar) as value,
        cast(expected_close_date as varchar) as expected_close_date,
        owner_id,
        forecast_category

    from raw_deals

),

present_values as (

    unpivot present
    on stage_id, status, value, expected_close_date, owner_id, forecast_category
    into name field value present_value

),

never_changed as (

    select
        present_values.source,
        present_values.deal_id,
        present_values.field,
        present_values.present_value as value

    from present_values
    anti join first_changes
        on
            present_values.source = first_changes.source
            and present_values.deal_id = first_changes.deal_id
            and present_values.field = first_changes.field

),

-- A deal's flow tells of changes only: it was created with what the first change replaced, or, without any,
-- with what it has.
initial as (

    select
        source,
        deal_id,
        field,
        old_value as value

    from first_changes
    union all
    select * from never_changed

),

every_value as (

    select
        initial.source,
        initial.deal_id,
        initial.field,
        initial.value,
        raw_deals.add_time as changed_at,
        0 as id,
        raw_deals._loaded_at

    from initial
    inner join raw_deals
        on initial.source = raw_deals.source and initial.deal_id = raw_deals.id
    union all by name
    select * exclude (old_value) from changes

),

-- Pipedrive writes 0 for a deal without an amount. Of several values of one second the last was ever visible.
final as (

    select
        source,
        deal_id,
        field,
        case when field != 'value' or try_cast(value as decimal(18, 4)) != 0 then nullif(value, '') end
            as value,
        changed_at,
        _loaded_at as loaded_at

    from every_value
    qualify row_number() over (partition by source, deal_id, field, changed_at order by id desc) = 1

)

select * from final
