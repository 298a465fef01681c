-- What a mart adds up to is what the facts under it add up to: no join loses or doubles a row.
with

facts as (

    select * from {{ ref('core__fact_totals') }}

),

kpi_values as (

    select * from {{ ref('marts__kpi_values') }}
    where period = 'all'

),

reps as (

    select * from {{ ref('marts__rep_performance') }}

),

pipeline as (

    select * from {{ ref('marts__pipeline_daily') }}

),

accounts as (

    select * from {{ ref('marts__accounts') }}

),

published as (

    select
        'won revenue' as fact,
        'kpi_values' as mart,
        sum(numerator) as total
    from kpi_values
    where kpi = 'won_revenue' and segment = 'product'
    union all
    select 'won revenue', 'rep_performance', sum(won_revenue)
    from reps
    union all
    select 'closed opportunities', 'rep_performance', sum(won + lost)
    from reps
    union all
    select 'known opportunities', 'pipeline_daily', count(distinct row(source, opportunity_id))
    from pipeline
    union all
    select 'open opportunities', 'pipeline_daily', count(*)
    from pipeline
    where day = {{ last_day() }} and outcome = 'open'
    union all
    select 'MRR of all months', 'retention_cohorts', sum(mrr)
    from {{ ref('marts__retention_cohorts') }}
    union all
    select 'MRR', 'accounts', sum(mrr)
    from accounts
    union all
    select 'won revenue of known accounts', 'accounts', sum(won_revenue)
    from accounts
    union all
    select 'contracts due', 'kpi_renewals', sum(due_value)
    from {{ ref('core__kpi_renewals') }}
    where period = 'all' and segment = 'country'
    union all
    select 'messages', 'email_performance', sum(sent)
    from {{ ref('marts__email_performance') }}
    union all
    select 'steps of journeys', 'funnel_conversion', sum(entered)
    from {{ ref('marts__funnel_conversion') }}
    where segment = 'region'

),

final as (

    select
        published.mart,
        fact,
        facts.total as of_facts,
        published.total as of_mart

    from published
    inner join facts using (fact)
    where coalesce(facts.total, 0) <> coalesce(published.total, 0)

)

select * from final
