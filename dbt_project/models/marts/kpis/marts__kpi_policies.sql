{%- set now = var('policies') -%}
with

final (policy, subject, rule, settings) as (

    values
    (
        'mode', 'Mode',
        'Sets several policies at once: canonical is the defaults; chartmogul counts reactivation in net'
        || ' churn and takes no gross margin into clv; stripe dates churn at cancellation, counts only'
        || ' discounts that are for ever, and adds new customers to those that could churn. A policy that'
        || ' is set beside it wins.',
        'mode = {{ now.mode }}'
    ),
    (
        'P1', 'Customer',
        'A customer is a resolved account. Losing one of several subscriptions is contraction, not churn.',
        null
    ),
    (
        'P2', 'MRR',
        'Contracted recurring items in force at the end of the period, normalised to a month,'
        || ' without tax, one-off'
        || ' charges, trials and usage.',
        null
    ),
    (
        'P3', 'What counts',
        'Active and past due subscriptions count; trials, incomplete, unpaid, paused and cancelled'
        || ' ones do not. Past due'
        || ' turns into involuntary churn after the grace period.',
        'past_due_grace_days = {{ now.past_due_grace_days }}'
    ),
    (
        'P4', 'Churn date',
        'A customer is lost when paid service ends (service_end), or when it is cancelled'
        || ' (cancellation). A contract that'
        || ' is renewed within the grace period was renewed when it was due; terms shorter than the'
        || ' least are no contract.',
        'churn_date = {{ now.churn_date }}, renewal_grace_days = {{ now.renewal_grace_days }}'
        || ', renewal_min_term_months = {{ now.renewal_min_term_months }}'
    ),
    (
        'P5', 'Discounts',
        'Discounts reduce MRR: all of them, those for ever (forever_only), or none. The end of one'
        || ' is expansion.',
        'discounts = {{ now.discounts }}'
    ),
    ('P6', 'Refunds', 'Refunds and credit notes move cash, never MRR.', null),
    (
        'P7', 'Proration',
        'Proration lines are ignored: a new price counts in full from its first moment.', null
    ),
    (
        'P8', 'Exchange rates',
        'Movements are changes in local currency at the closing rate; the rest is a movement of its'
        || ' own, fx.',
        null
    ),
    (
        'P9', 'Ratios',
        'A ratio is a numerator and a denominator, which roll up by sums; over zero there is no'
        || ' value. The gross margin is'
        || ' that of cac_payback_months, and of clv and ltv_cac unless clv_gross_margin is false. Net churn'
        || ' may count reactivation; logo churn is over customers at period start, or these and the new.',
        'gross_margin = {{ now.gross_margin }}, clv_gross_margin = {{ now.clv_gross_margin | lower }}'
        || ', net_churn_reactivation = {{ now.net_churn_reactivation | lower }}'
        || ', churn_denominator = {{ now.churn_denominator }}'
    ),
    (
        'P10', 'Time',
        'Instants are UTC, periods are half-open and of the reporting time zone and fiscal calendar. Minutes'
        || ' that leads wait are those of business hours.',
        'timezone = {{ var("timezone") }}, fiscal_year_start = {{ var("fiscal_year_start") }}'
        || ', business_hours = {{ var("business_hours").label }}'
        || ', lead_sla_minutes = {{ now.lead_sla_minutes }}'
    ),
    (
        'P11', 'Reported and restated',
        'What was published first for a complete period is kept (kpi_reported) beside what is known of it'
        || ' now (kpi_values).',
        null
    ),
    (
        'P12', 'Within a month',
        'Who begins and stops to pay within one month is in no bridge, and counted as intra_period_churn.',
        null
    ),
    ('P13', 'Pauses', 'A paused subscription has no MRR.', null)

)

select * from final
