with

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

segments as (

    select * from {{ ref('core__account_segments') }}

),

months as (

    select * from {{ ref('core__kpi_months') }}
    where period = 'month'

),

segmented as (

    select
        movements.*,
        {{ kpi_segments('revenue') | indent(8) }}

    from movements
    inner join segments
        on movements.month = segments.month and movements.account = segments.account

),

-- A segment begins a month with what it ended the last one with; who has come from another segment since is
-- transferred.
both_ends as (

    select
        *,
        cast(0 as decimal(18, 2)) as previous

    from segmented

    union all by name

    select
        cast(segmented.month + interval 1 month as date) as month,
        segmented.segment,
        segmented.segment_value,
        segmented.closing as previous

    from segmented
    inner join months
        on segmented.month + interval 1 month = months.month
    where segmented.closing > 0

),

final as (

    select
        month,
        segment,
        segment_value,
        cast(sum(previous) as decimal(18, 2)) as opening,
        cast(coalesce(sum(opening), 0) - sum(previous) as decimal(18, 2)) as transferred,
        cast(coalesce(sum("new"), 0) as decimal(18, 2)) as "new",
        cast(coalesce(sum(reactivation), 0) as decimal(18, 2)) as reactivation,
        cast(coalesce(sum(expansion), 0) as decimal(18, 2)) as expansion,
        cast(coalesce(sum(contraction), 0) as decimal(18, 2)) as contraction,
        cast(coalesce(sum(churn), 0) as decimal(18, 2)) as churn,
        cast(coalesce(sum(fx), 0) as decimal(18, 2)) as fx,
        cast(coalesce(sum(closing), 0) as decimal(18, 2)) as closing,
        count(*) filter (where closing > 0) as paying_accounts

    from both_ends
    where segment <> 'all'
    group by month, segment, segment_value

)

select * from final
