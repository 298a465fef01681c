with

sales as (

    select * from {{ ref('core__kpi_sales') }}

),

pipeline as (

    select * from sales
    where segment = 'all'

),

open_pipeline as (

    select * from {{ ref('core__kpi_pipeline') }}

),

due_pipeline as (

    select * from open_pipeline
    where period in ('month', 'quarter')

),

quota as (

    select * from {{ ref('core__kpi_quota') }}

),

forecast as (

    select * from {{ ref('core__kpi_forecast') }}

),

stages as (

    select * from {{ ref('core__kpi_stages') }}

),

leads as (

    select * from {{ ref('core__kpi_leads') }}

),

-- Fewer quarters say little of what is usual.
forecast_error as (

    select * from forecast
    where period in ('year', 'all') and judged >= 4

),

revenue as (

    select * from {{ ref('core__kpi_revenue') }}

),

intra_period as (

    select * from revenue
    where segment = 'all'

),

revenue_month as (

    select * from revenue
    where period = 'month'

),

spend as (

    select * from {{ ref('core__kpi_spend') }}

),

renewals as (

    select * from {{ ref('core__kpi_renewals') }}

),

billing as (

    select * from {{ ref('core__kpi_billing') }}

),

growth as (

    select * from billing
    where period = 'quarter' and spend_before is not null

),

email as (

    select * from {{ ref('core__kpi_email') }}

),

attribution as (

    select * from {{ ref('core__kpi_attribution') }}

),

definitions as (

    select * from {{ ref('marts__kpi_definitions') }}

),

gaps as (

    select * from {{ source('gaps', 'register') }}
    where resolved_at is null and severity in ('critical', 'high')

),

acquisition as (

    select
        revenue.*,
        spend.spend,
        spend.spend_lines,
        spend.converted_lines

    from revenue
    inner join spend
        on revenue.period = spend.period and revenue.period_start = spend.period_start
    where revenue.segment = 'all'

),

computed as (
    {% for subject, about in kpi_subjects().items() %}
    select
        period,
        period_start,
        {{ 'segment' if about.segments else "'all' as segment" }},
        {{ 'segment_value' if about.segments else "'all' as segment_value" }},
        {{ kpi_rows(subject) | indent(8) }}

    from {{ subject }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

troubled as (

    select silo_left as silo from gaps
    union
    select silo_right from gaps

),

holding as (

    select distinct unnest(string_split(holds, ', ')) as subject_or_silo
    from gaps
    where holds is not null

),

gates as (

    select
        definitions.kpi,
        definitions.unit,
        definitions.silos,
        bool_or(troubled.silo is not null) as is_troubled,
        bool_or(holding.subject_or_silo is not null) as is_held

    from definitions
    left join troubled
        on list_contains(string_split(definitions.silos, ', '), troubled.silo)
    left join holding
        on
            definitions.subject = holding.subject_or_silo
            or list_contains(
                string_split('silo:' || replace(definitions.silos, ', ', ', silo:'), ', '),
                holding.subject_or_silo
            )
    group by all

),

final as (

    select
        computed.kpi,
        computed.period,
        computed.period_start,
        computed.segment,
        computed.segment_value,
        computed.numerator,
        computed.denominator,
        {{ ratio('computed.numerator', 'computed.denominator') | indent(8) }} as value,
        gates.unit,
        computed.coverage,
        case
            when gates.is_held then 'held'
            when gates.is_troubled then 'warned'
            else 'passed'
        end as gate_status

    from computed
    left join gates
        on computed.kpi = gates.kpi
    where
        -- A KPI is absent where a silo it needs is not configured.
        gates.kpi is null
        or list_has_all({{ var('silos') }}, string_split(gates.silos, ', '))

)

select * from final
