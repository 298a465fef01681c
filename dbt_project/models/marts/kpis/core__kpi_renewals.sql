with

months as (

    select * from {{ ref('core__kpi_months') }}

),

renewals as (

    select * from {{ ref('core__renewals') }}

),

segments as (

    select * from {{ ref('core__account_segments') }}

),

-- An account is in a term what it is in the month the term falls due.
due as (

    select
        renewals.subscription_id,
        renewals.amount_due,
        renewals.amount_renewed,
        cast(date_trunc('month', renewals.due_on) as date) as month,
        {{ kpi_segments('renewals') | indent(8) }}

    from renewals
    left join segments
        on renewals.account = segments.account and date_trunc('month', renewals.due_on) = segments.month

    union all by name

    -- The whole company has a row in every month.
    select
        month,
        'all' as segment,
        'all' as segment_value

    from months
    where period = 'month'

),

final as (

    select
        months.period,
        months.period_start,
        due.segment,
        due.segment_value,
        count(due.subscription_id) as due,
        count(*) filter (where due.amount_renewed > 0) as renewed,
        cast(coalesce(sum(due.amount_due), 0) as decimal(38, 2)) as due_value,
        cast(coalesce(sum(due.amount_renewed), 0) as decimal(38, 2)) as renewed_value,
        cast(coalesce(sum(least(due.amount_renewed, due.amount_due)), 0) as decimal(38, 2))
            as renewed_value_capped

    from months
    inner join due
        on months.month = due.month
    group by all

)

select * from final
