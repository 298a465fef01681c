with

months as (

    select * from {{ ref('core__kpi_months') }}

),

renewals as (

    select * from {{ ref('core__renewals') }}

),

final as (

    select
        months.period,
        months.period_start,
        count(renewals.subscription_id) as due,
        count(*) filter (where renewals.amount_renewed > 0) as renewed,
        cast(coalesce(sum(renewals.amount_due), 0) as decimal(38, 2)) as due_value,
        cast(coalesce(sum(renewals.amount_renewed), 0) as decimal(38, 2)) as renewed_value,
        cast(coalesce(sum(least(renewals.amount_renewed, renewals.amount_due)), 0) as decimal(38, 2))
            as renewed_value_capped

    from months
    left join renewals
        on months.month = date_trunc('month', renewals.due_on)
    group by all

)

select * from final
