with

months as (

    select * from {{ ref('core__kpi_months') }}
    where period = 'month'

),

opportunities as (

    select * from {{ ref('core__opportunities') }}
    where outcome in ('won', 'lost') and closed_at < {{ as_of() }}

),

owners as (

    select * from {{ ref('crm__owners') }}

),

activities as (

    select * from {{ ref('crm__activities') }}
    where
        not coalesce(is_deleted, false)
        and not coalesce(is_automated, false)
        and occurred_at < {{ as_of() }}

),

quotas as (

    select * from {{ ref('finance__quotas') }}
    where owner_id is not null and not coalesce(is_deleted, false)

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

-- Finance knows reps by their id only.
known_owners as (

    select
        owner_id,
        min(source) as source

    from owners
    group by all

),

quota_months as (

    {{ quota_months('quotas') | indent(4) }}

),

spread_quotas as (

    select
        coalesce(known_owners.source, '(none)') as source,
        quota_months.owner_id,
        months.month,
        max(quota_months.team) as team,
        sum({{ cents('quota_months.amount * rates.rate') }}) as quota

    from quota_months
    inner join months
        on quota_months.month = months.month
    left join closing_rates as rates
        on months.month = rates.month and quota_months.currency = rates.currency
    left join known_owners
        on quota_months.owner_id = known_owners.owner_id
    group by all

),

sold as (

    select
        source,
        coalesce(closing_owner_id, '(none)') as owner_id,
        cast(date_trunc('month', closed_on) as date) as month,
        max(team) as team,
        count(*) filter (where outcome = 'won') as won,
        count(*) filter (where outcome = 'lost') as lost,
        sum(amount) filter (where outcome = 'won') as won_value,
        sum(amount) filter (where outcome = 'lost') as lost_value,
        count(cycle_days) filter (where outcome = 'won' and cycle_days >= 0) as cycles,
        sum(cycle_days) filter (where outcome = 'won' and cycle_days >= 0) as cycle_days,
        quantile_cont(cycle_days, 0.5) filter (where outcome = 'won' and cycle_days >= 0) as cycle_median

    from opportunities
    group by source, coalesce(closing_owner_id, '(none)'), month

),

done as (

    select
        source,
        coalesce(owner_id, '(none)') as owner_id,
        cast(date_trunc('month', {{ local_date('occurred_at') }}) as date) as month,
        count(*) as activities,
        count(*) filter (where activity_type = 'meeting') as meetings

    from activities
    group by all

),

rep_months as (

    select source, owner_id, month from spread_quotas
    union
    select source, owner_id, month from sold
    union
    select source, owner_id, month from done

),

final as (

    select
        rep_months.source,
        rep_months.owner_id,
        rep_months.month,
        coalesce(spread_quotas.team, sold.team, owners.team) as team,
        cast(spread_quotas.quota as decimal(18, 2)) as quota,
        coalesce(sold.won, 0) as won,
        coalesce(sold.lost, 0) as lost,
        cast(coalesce(sold.won_value, 0) as decimal(18, 2)) as won_revenue,
        cast(coalesce(sold.lost_value, 0) as decimal(18, 2)) as lost_value,
        cast({{ kpi_ratio('sales', 'win_rate') }} as decimal(38, 12)) as win_rate,
        coalesce(sold.cycles, 0) as cycles,
        cast(coalesce(sold.cycle_days, 0) as bigint) as cycle_days,
        cast(sold.cycle_median as decimal(18, 6)) as cycle_days_median,
        coalesce(done.activities, 0) as activities,
        coalesce(done.meetings, 0) as meetings

    from rep_months
    left join spread_quotas
        on
            rep_months.source = spread_quotas.source
            and rep_months.owner_id = spread_quotas.owner_id
            and rep_months.month = spread_quotas.month
    left join sold
        on
            rep_months.source = sold.source
            and rep_months.owner_id = sold.owner_id
            and rep_months.month = sold.month
    left join done
        on
            rep_months.source = done.source
            and rep_months.owner_id = done.owner_id
            and rep_months.month = done.month
    left join owners
        on rep_months.source = owners.source and rep_months.owner_id = owners.owner_id

)

select * from final
