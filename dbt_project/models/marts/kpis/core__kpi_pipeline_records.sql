with

calendar as (

    select
        *,
        least(period_end - 1, {{ last_day() }}) as last_day

    from {{ ref('core__calendar') }}

),

pipeline as (

    select * from {{ ref('marts__pipeline_daily') }}
    where outcome = 'open'

),

movements as (

    select * from {{ ref('core__pipeline_movements') }}
    where due <> 0

),

quotas as (

    select * from {{ ref('finance__quotas') }}
    where owner_id is not null and not coalesce(is_deleted, false)

),

owners as (

    select
        owner_id,
        arg_min(team, source) as team

    from {{ ref('crm__owners') }}
    group by all

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

quota_months as (

    {{ quota_months('quotas') | indent(4) }}

),

known_months as (

    select
        min(month) as first_month,
        max(month) as last_month

    from closing_rates

),

-- Months to come are at the latest rate: all of a period's quota is to be covered from its first day on.
quota_lines as (

    select
        quota_months.owner_id,
        quota_months.month,
        coalesce(max(quota_months.team), any_value(owners.team)) as team,
        sum({{ cents('quota_months.amount * rates.rate') }}) as quota

    from quota_months
    cross join known_months
    left join closing_rates as rates
        on
            greatest(least(quota_months.month, known_months.last_month), known_months.first_month)
            = rates.month
            and quota_months.currency = rates.currency
    left join owners
        on quota_months.owner_id = owners.owner_id
    group by all

),

final as (

    select
        calendar.period,
        calendar.period_start,
        'opportunity' as record_type,
        pipeline.source,
        pipeline.opportunity_id as record_id,
        pipeline.account,
        pipeline.day as happened_on,
        coalesce(pipeline.owner_id, '(none)') as owner_id,
        coalesce(pipeline.team, '(none)') as team,
        1 as open_count,
        cast(pipeline.amount is not null and pipeline.probability is not null as integer) as open_valued,
        {{ cents('pipeline.amount * pipeline.probability') }} as weighted,
        0 as due,
        0 as due_with_amount,
        cast(0 as decimal(18, 2)) as due_value,
        0 as slipped,
        cast(0 as decimal(18, 2)) as slipped_value,
        cast(0 as decimal(18, 2)) as quota

    from calendar
    inner join pipeline
        on calendar.last_day = pipeline.day

    union all by name

    select
        period,
        period_start,
        'opportunity' as record_type,
        source,
        opportunity_id as record_id,
        account,
        period_start as happened_on,
        owner_id,
        team,
        due,
        due_with_amount,
        opening as due_value,
        slipped,
        slipped_value

    from movements

    union all by name

    select
        calendar.period,
        calendar.period_start,
        'rep and month' as record_type,
        quota_lines.owner_id || ' ' || strftime(quota_lines.month, '%Y-%m') as record_id,
        quota_lines.month as happened_on,
        quota_lines.owner_id,
        coalesce(quota_lines.team, '(none)') as team,
        quota_lines.quota

    from calendar
    inner join quota_lines
        on calendar.period_start <= quota_lines.month and calendar.period_end > quota_lines.month
    where calendar.period in ('month', 'quarter')

)

select * from final
