{%- set common = 'period, period_start, record_type, source, record_id, account, happened_on, segments' -%}
with

months as (

    select * from {{ ref('core__kpi_months') }}

),

sales_records as (

    select * from {{ ref('core__kpi_sales_records') }}

),

reps as (

    select * from {{ ref('marts__rep_performance') }}

),

forecasts as (

    select * from {{ ref('core__kpi_forecast') }}
    where period = 'quarter'

),

lead_records as (

    select * from {{ ref('core__kpi_lead_records') }}

),

stage_records as (

    select * from {{ ref('core__kpi_stage_records') }}

),

pipeline_records as (

    select * from {{ ref('core__kpi_pipeline_records') }}

),

revenue_records as (

    select * from {{ ref('core__kpi_revenue_records') }}

),

account_segments as (

    select * from {{ ref('core__account_segments') }}

),

spend as (

    select * from {{ ref('core__kpi_spend_records') }}

),

terms as (

    select * from {{ ref('core__renewals') }}

),

billing_records as (

    select * from {{ ref('core__kpi_billing_records') }}

),

messages as (

    select * from {{ ref('core__kpi_email_records') }}

),

credits as (

    select * from {{ ref('core__attribution') }}
    where position_based <> 0

),

-- Each subject has the columns its formulas name, and what all have in common.
sales as (

    select
        months.period,
        months.period_start,
        'opportunity' as record_type,
        records.source,
        records.opportunity_id as record_id,
        records.account,
        records.closed_on as happened_on,
        {%- for name in sale_measures() %}
        coalesce(records.{{ name }}, 0) as {{ name }},
        {%- endfor %}
        map {
            'team': records.team, 'owner': records.owner, 'region': records.region,
            'product': records.product, 'source': records.lead_source
        } as segments

    from months
    inner join sales_records as records
        on months.month = records.month

),

open_pipeline as (

    select
        *,
        map {'team': team, 'owner': owner_id} as segments

    from pipeline_records
    where open_count = 1

),

due_pipeline as (

    select
        *,
        map {'team': team, 'owner': owner_id} as segments

    from pipeline_records
    where coalesce(open_count, 0) = 0

),

quota as (

    select
        months.period,
        months.period_start,
        'rep and month' as record_type,
        reps.source,
        reps.owner_id || ' ' || strftime(reps.month, '%Y-%m') as record_id,
        cast(null as varchar) as account,
        reps.month as happened_on,
        map {'team': coalesce(reps.team, '(none)'), 'owner': reps.owner_id} as segments,
        reps.won_revenue as won_value,
        reps.quota

    from months
    inner join reps
        on months.month = reps.month
    where reps.quota is not null

),

forecast as (

    select
        months.period,
        months.period_start,
        'quarter' as record_type,
        cast(null as varchar) as source,
        cast(forecasts.period_start as varchar) as record_id,
        cast(null as varchar) as account,
        forecasts.period_start as happened_on,
        map {'quarter': cast(forecasts.period_start as varchar)} as segments,
        forecasts.hit,
        forecasts.actual,
        forecasts.error,
        forecasts.absolute_error,
        forecasts.relative_error,
        forecasts.quarters_with_actual,
        count(*) over (partition by months.period, months.period_start) as judged

    from months
    inner join forecasts
        on months.month = forecasts.period_start
    where months.period <> 'month'

),

stages as (

    select
        months.period,
        months.period_start,
        'visit of a stage' as record_type,
        records.source,
        records.opportunity_id || ' ' || records.stage || ' ' || records.entered_on as record_id,
        cast(null as varchar) as account,
        records.entered_on as happened_on,
        map {'stage': records.stage, 'team': records.team} as segments,
        records.advanced,
        records.exited

    from months
    inner join stage_records as records
        on months.month = records.month

),

leads as (

    select
        months.period,
        months.period_start,
        'lead' as record_type,
        records.source,
        records.lead_id as record_id,
        cast(null as varchar) as account,
        records.created_on as happened_on,
        map {'team': records.team, 'owner': records.owner_id, 'source': records.lead_source} as segments,
        records.missed,
        records.judged

    from months
    inner join lead_records as records
        on months.month = records.month

),

forecast_error as (

    select * from forecast
    where period in ('year', 'all') and judged >= 4

),

revenue as (

    select
        months.period,
        months.period_start,
        'account' as record_type,
        cast(null as varchar) as source,
        records.account as record_id,
        records.account,
        max(months.month) as happened_on,
        {{ account_segment_map('segments', account='records.account') | indent(8) }} as segments,
        {%- for name, measure in revenue_measures().items() %}
        coalesce(
            {{ 'max' if measure.once else 'sum' }}(records.{{ name }})
            {%- if measure.when %} filter (where months.{{ measure.when }}){% endif %}, 0
        ) as {{ name }},
        {%- endfor %}
        coalesce(sum(records.mrr_year_ago) filter (where months.is_closing), 0) as mrr_year_ago,
        coalesce(sum(records.retained_net) filter (where months.is_closing), 0) as retained_net,
        coalesce(sum(records.retained_gross) filter (where months.is_closing), 0) as retained_gross

    from months
    inner join revenue_records as records
        on months.month = records.month
    inner join account_segments as segments
        on records.account = segments.account and months.closing_month = segments.month
    group by all

),

intra_period as (

    select
        months.period,
        months.period_start,
        'account' as record_type,
        cast(null as varchar) as source,
        records.account as record_id,
        records.account,
        max(months.month) as happened_on,
        map_from_entries(cast([] as struct(k varchar, v varchar)[])) as segments,
        sum(records.brief_stays) as brief_stays

    from months
    inner join revenue_records as records
        on months.month = records.month
    where records.brief_stays > 0
    group by all

),

revenue_month as (

    select * from revenue
    where period = 'month'

),

-- What was spent, and whom it won.
acquisition as (

    select
        months.period,
        months.period_start,
        'line of spend' as record_type,
        spend.source,
        spend.spend_id as record_id,
        cast(null as varchar) as account,
        spend.month as happened_on,
        map {'category': coalesce(spend.category, '(none)')} as segments,
        spend.amount as spend,
        0 as new_accounts,
        0 as new_mrr

    from months
    inner join spend
        on months.month = spend.month
    where spend.amount is not null

    union all

    select
        period,
        period_start,
        'new customer',
        source,
        record_id,
        account,
        happened_on,
        map {'category': '(new customers)'},
        0,
        new_accounts,
        new_mrr

    from revenue
    where new_accounts > 0

),

renewals as (

    select
        months.period,
        months.period_start,
        'contract term' as record_type,
        terms.source,
        terms.subscription_id as record_id,
        terms.account,
        terms.due_on as happened_on,
        {{ account_segment_map('segments', account='terms.account') | indent(8) }} as segments,
        1 as due,
        cast(terms.amount_renewed > 0 as integer) as renewed,
        terms.amount_due as due_value,
        terms.amount_renewed as renewed_value,
        least(terms.amount_renewed, terms.amount_due) as renewed_value_capped

    from months
    inner join terms
        on months.month = date_trunc('month', terms.due_on)
    left join account_segments as segments
        on terms.account = segments.account and months.month = segments.month

),

billing as (

    select
        *,
        map {'account': coalesce(account, '(none)')} as segments

    from billing_records

),

attribution as (

    select
        months.period,
        months.period_start,
        'share of an opportunity' as record_type,
        credits.source,
        credits.opportunity_id as record_id,
        cast(null as varchar) as account,
        credits.month as happened_on,
        map {'channel': credits.channel, 'campaign': coalesce(credits.campaign_key, '(none)')} as segments,
        case when credits.measure = 'pipeline' then credits.position_based else 0 end as pipeline,
        case when credits.measure = 'revenue' then credits.position_based else 0 end as revenue

    from months
    inner join credits
        on months.month = credits.month

),

email as (

    select
        months.period,
        months.period_start,
        'message' as record_type,
        messages.source,
        messages.campaign_id || ' ' || messages.recipient_id || ' ' || messages.message_id as record_id,
        cast(null as varchar) as account,
        messages.sent_on as happened_on,
        {%- for name in message_measures() %}
        messages.{{ name }},
        {%- endfor %}
        map {'campaign': messages.source || ':' || messages.campaign_id} as segments

    from months
    inner join messages
        on months.month = messages.month

),

counted as (
    {% for subject in kpi_subjects() if subject not in ('pipeline', 'growth') %}
    select
        {{ common }},
        {{ kpi_rows(subject, of_records=true) | indent(8) }}

    from {{ subject }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

final as (

    select
        kpi,
        {{ common }},
        numerator,
        denominator

    from counted
    where numerator <> 0 or denominator <> 0

)

select * from final
