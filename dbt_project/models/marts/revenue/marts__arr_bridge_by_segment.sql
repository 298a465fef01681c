{%- set steps = ['opening', 'new', 'reactivation', 'expansion', 'contraction', 'churn', 'fx'] -%}
{%- set columns = kpi_subjects().revenue.segments.values() | join(', ') -%}
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

-- Accounts that are alike in every segment are one row: there are far fewer such kinds than accounts.
together as (

    select
        movements.month,
        {{ columns }},
        {%- for step in steps %}
        sum(movements."{{ step }}") as "{{ step }}",
        {%- endfor %}
        sum(movements.closing) as closing,
        coalesce(sum(movements.closing) filter (where movements.closing > 0), 0) as kept,
        count(*) filter (where movements.closing > 0) as paying_accounts

    from movements
    inner join segments
        on movements.month = segments.month and movements.account = segments.account
    group by movements.month, {{ columns }}

),

segmented as (

    select
        *,
        {{ kpi_segments('revenue') | indent(8) }}

    from together

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
        segmented.kept as previous

    from segmented
    inner join months
        on segmented.month + interval 1 month = months.month
    where segmented.kept > 0

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
        cast(coalesce(sum(paying_accounts), 0) as bigint) as paying_accounts

    from both_ends
    where segment <> 'all'
    group by month, segment, segment_value

)

select * from final
