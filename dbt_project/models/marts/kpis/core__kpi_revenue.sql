{%- set columns = kpi_subjects().revenue.segments.values() | join(', ') -%}
with

months as (

    select * from {{ ref('core__kpi_months') }}

),

segments as (

    select * from {{ ref('core__account_segments') }}

),

movements as (

    select * from {{ ref('core__mrr_monthly') }}

),

account_mrr as (

    select * from {{ ref('core__account_mrr') }}

),

closing_rates as (

    select * from {{ ref('core__closing_rates') }}

),

retained as (

    {{ retained_mrr() | indent(4) }}

),

spans as (

    select * from {{ ref('core__subscription_spans') }}

),

by_account as (

    select
        {%- for name, measure in revenue_measures().items() %}
        {{ revenue_sum(measure) }} as {{ name }},
        {%- endfor %}
        months.period,
        months.period_start,
        months.closing_month,
        segments.account

    from months
    inner join segments
        on months.closing_month = segments.month
    left join movements
        on months.month = movements.month and segments.account = movements.account
    group by all

),

-- An account is in a period what it is at its end.
together as (

    select
        {%- for name in revenue_measures() %}
        sum(by_account.{{ name }}) as {{ name }},
        {%- endfor %}
        sum(retained.mrr_year_ago) as mrr_year_ago,
        sum(retained.retained_net) as retained_net,
        sum(retained.retained_gross) as retained_gross,
        by_account.period,
        by_account.period_start,
        by_account.closing_month,
        {{ columns }}

    from by_account
    inner join segments
        on by_account.account = segments.account and by_account.closing_month = segments.month
    left join retained
        on by_account.account = retained.account and by_account.closing_month = retained.month
    group by by_account.period, by_account.period_start, by_account.closing_month, {{ columns }}

),

segmented as (

    select
        *,
        {{ kpi_segments('revenue') | indent(8) }}

    from together

    union all by name

    -- The whole company has a row before its first customer.
    select distinct
        period,
        period_start,
        closing_month,
        'all' as segment,
        'all' as segment_value

    from months

),

by_segment as (

    select
        {%- for name in revenue_measures() %}
        coalesce(sum({{ name }}), 0) as {{ name }},
        {%- endfor %}
        coalesce(sum(mrr_year_ago), 0) as mrr_year_ago,
        coalesce(sum(retained_net), 0) as retained_net,
        coalesce(sum(retained_gross), 0) as retained_gross,
        period,
        period_start,
        closing_month,
        segment,
        segment_value

    from segmented
    group by period, period_start, closing_month, segment, segment_value

),

half_years as (

    select
        period_start as month,
        segment,
        segment_value,
        sum(churned) over half_year as churned_6m,
        sum(opened) over half_year as opened_6m,
        sum(new_accounts) over half_year as new_6m

    from by_segment
    where period = 'month'
    window half_year as (
        partition by segment, segment_value
        order by period_start range between interval 5 month preceding and current row
    )

),

brief_stays as (

    {{ brief_stays() | indent(4) }}

),

brief_by_period as (

    select
        months.period,
        months.period_start,
        count(*) as brief_stays

    from months
    inner join brief_stays
        on months.month = brief_stays.month
    group by all

),

final as (

    select
        by_segment.period,
        by_segment.period_start,
        by_segment.segment,
        by_segment.segment_value,
        cast(by_segment.mrr as decimal(38, 2)) as mrr,
        cast(by_segment.paying as bigint) as paying,
        cast(by_segment.opening as decimal(38, 2)) as opening,
        cast(by_segment.opened as bigint) as opened,
        cast(by_segment.new_mrr as decimal(38, 2)) as new_mrr,
        cast(by_segment.new_accounts as bigint) as new_accounts,
        cast(by_segment.reactivation as decimal(38, 2)) as reactivation,
        cast(by_segment.expansion as decimal(38, 2)) as expansion,
        cast(by_segment.upsold as bigint) as upsold,
        cast(by_segment.lost as decimal(38, 2)) as lost,
        cast(by_segment.churned as bigint) as churned,
        cast(by_segment.involuntary as decimal(38, 2)) as involuntary,
        cast(half_years.churned_6m as bigint) as churned_6m,
        cast(half_years.opened_6m as bigint) as opened_6m,
        cast(half_years.new_6m as bigint) as new_6m,
        -- Of nobody else: who was never there at the end of a month has no segment.
        case when by_segment.segment = 'all' then coalesce(brief_by_period.brief_stays, 0) end as brief_stays,
        cast(by_segment.mrr_year_ago as decimal(38, 2)) as mrr_year_ago,
        cast(by_segment.retained_net as decimal(38, 2)) as retained_net,
        cast(by_segment.retained_gross as decimal(38, 2)) as retained_gross

    from by_segment
    left join half_years
        on
            by_segment.closing_month = half_years.month
            and by_segment.segment = half_years.segment
            and by_segment.segment_value = half_years.segment_value
    left join brief_by_period
        on
            by_segment.period = brief_by_period.period
            and by_segment.period_start = brief_by_period.period_start

)

select * from final
