{%- set money = var('currency') -%}
{%- set policies = var('policies') -%}
{%- set and_new = ' and new' if policies.churn_denominator == 'opening_and_new' else '' -%}
{%- set margin = ' x gross margin' if policies.clv_gross_margin else '' -%}
{%- set returned = policies.net_churn_reactivation -%}
with

definitions (position, kpi, formula, unit, better, owner_team, silos, policies, is_headline) as (

    values
    (
        1, 'win_rate',
        'Won opportunities / (won + lost), by the period they closed in; open ones are excluded.',
        'ratio', 'up', 'sales', 'crm', 'P9, P10', true
    ),
    (
        2, 'win_rate_value',
        'Amount won / amount won and lost; an opportunity without an amount adds nothing.',
        'ratio', 'up', 'sales', 'crm', 'P9, P10', false
    ),
    (
        3, 'won_revenue',
        'Amount of the opportunities won, at the exchange rate of the day they closed.',
        '{{ money }}', 'up', 'sales', 'crm', 'P10', false
    ),
    (
        4, 'sales_cycle_days',
        'Median calendar days from creation to close of opportunities won; negative ones are a gap.',
        'days', 'down', 'sales', 'crm', 'P10', true
    ),
    (
        5, 'sales_cycle_days_mean', 'Mean calendar days from creation to close of opportunities won.',
        'days', 'down', 'sales', 'crm', 'P9, P10', false
    ),
    (
        6, 'sales_cycle_days_p90',
        'Calendar days within which nine of ten won opportunities closed, interpolated.',
        'days', 'down', 'sales', 'crm', 'P10', false
    ),
    (
        7, 'pipeline_velocity',
        'Opportunities open at period end x win rate x mean amount won / mean sales cycle: worth a day.',
        '{{ money }}/day', 'up', 'sales', 'crm', 'P9, P10', true
    ),
    (
        8, 'quota_attainment',
        'Amount won by reps with a quota / their quotas, spread evenly over their months.',
        'ratio', 'up', 'sales', 'crm, finance', 'P9, P10', false
    ),
    (
        9, 'forecast_accuracy',
        'max(0, 1 - |F - A| / A) of complete quarters, weighted by A. F: the last commit forecasts of'
        || ' the reps on the first day of the quarter; A: revenue won in it.',
        'ratio', 'up', 'sales', 'crm, finance', 'P9, P10', true
    ),
    (
        10, 'cac', 'Fully loaded acquisition spend / accounts that became customers.',
        '{{ money }}', 'down', 'marketing', 'billing, finance', 'P1, P9', true
    ),
    (
        11, 'cac_payback_months',
        'Acquisition spend / (MRR of new customers x gross margin): months until CAC is earned.',
        'months', 'down', 'marketing', 'billing, finance', 'P1, P9', false
    ),
    (
        12, 'ltv_cac', 'clv / cac.',
        'times', 'up', 'marketing', 'billing, finance', 'P1, P9', false
    ),
    (
        13, 'logo_churn_rate',
        'Accounts that stopped being customers / customers at period start{{ and_new }}.',
        'ratio', 'down', 'customer success', 'billing', 'P1, P3, P4, P9', true
    ),
    (
        14, 'gross_mrr_churn_rate', '(Churn + contraction) / MRR at period start.',
        'ratio', 'down', 'customer success', 'billing', 'P1, P2, P3, P4, P5, P8, P9', false
    ),
    (
        15, 'net_mrr_churn_rate',
        {% if returned -%}
        '(Churn + contraction - expansion - reactivation) / MRR at period start.',
        {%- else -%}
        '(Churn + contraction - expansion) / MRR at period start; reactivation is not netted.',
        {%- endif %}
        'ratio', 'down', 'customer success', 'billing', 'P1, P2, P3, P4, P5, P8, P9', false
    ),
    (
        16, 'involuntary_churn_rate',
        'Churn of accounts lost to failed payments / MRR at period start.',
        'ratio', 'down', 'finance', 'billing', 'P1, P2, P3, P9', false
    ),
    (
        17, 'renewal_rate', 'Contracts renewed / contracts that fell due, by due date.',
        'ratio', 'up', 'customer success', 'billing', 'P4, P9', true
    ),
    (
        18, 'renewal_rate_value', 'Renewed MRR, at most what was due, / MRR that fell due.',
        'ratio', 'up', 'customer success', 'billing', 'P2, P4, P5, P9', false
    ),
    (
        19, 'renewal_rate_net', 'Renewed MRR with its growth / MRR that fell due.',
        'ratio', 'up', 'customer success', 'billing', 'P2, P4, P5, P9', false
    ),
    (
        20, 'expansion_rate', 'Expansion / MRR at period start.',
        'ratio', 'up', 'account management', 'billing', 'P1, P2, P5, P8, P9', true
    ),
    (
        21, 'upsell_accounts', 'Accounts with expansion in the period.',
        'accounts', 'up', 'account management', 'billing', 'P1, P2, P5', false
    ),
    (
        22, 'mrr', 'Contracted recurring revenue in force at period end, a month.',
        '{{ money }}', 'up', 'finance', 'billing', 'P2, P3, P5, P6, P7, P13', false
    ),
    (
        23, 'arr', '12 x MRR at period end.',
        '{{ money }}', 'up', 'finance', 'billing', 'P2, P3, P5, P6, P7, P13', true
    ),
    (
        24, 'arpa', 'MRR at period end / paying accounts.',
        '{{ money }}', 'up', 'finance', 'billing', 'P1, P2, P9', false
    ),
    (
        25, 'clv',
        'arpa{{ margin }} / mean monthly logo churn of the last six months'
        || ' (churned / opening{{ and_new }} accounts).',
        '{{ money }}', 'up', 'finance', 'billing', 'P1, P2, P9', true
    ),
    (
        26, 'quick_ratio', '(New + expansion) / (churn + contraction).',
        'times', 'up', 'finance', 'billing', 'P1, P2, P8, P9', false
    ),
    (
        27, 'nrr',
        'MRR at period end / MRR twelve months before, of the accounts that paid then, at one exchange rate.',
        'ratio', 'up', 'customer success', 'billing', 'P1, P2, P8, P9', false
    ),
    (
        28, 'grr', 'As nrr, no account counting for more than it paid then.',
        'ratio', 'up', 'customer success', 'billing', 'P1, P2, P8, P9', false
    ),
    (
        29, 'nrr_1m', '(Opening MRR - churn - contraction + expansion) / opening MRR of a month.',
        'ratio', 'up', 'customer success', 'billing', 'P1, P2, P8, P9', false
    ),
    (
        30, 'grr_1m', '(Opening MRR - churn - contraction) / opening MRR of a month.',
        'ratio', 'up', 'customer success', 'billing', 'P1, P2, P8, P9', false
    ),
    (
        31, 'email_open_rate',
        'Messages opened / delivered, by the day they were sent; opens by machines count.',
        'ratio', 'up', 'marketing', 'email', 'P9, P10', false
    ),
    (
        32, 'email_adjusted_open_rate',
        'Messages opened / delivered, those that only machines opened taken out of both.',
        'ratio', 'up', 'marketing', 'email', 'P9, P10', false
    ),
    (
        33, 'email_click_rate', 'Messages clicked / delivered.',
        'ratio', 'up', 'marketing', 'email', 'P9, P10', false
    ),
    (
        34, 'email_click_to_open_rate', 'Messages clicked / opened.',
        'ratio', 'up', 'marketing', 'email', 'P9, P10', false
    ),
    (
        35, 'email_reply_rate',
        'Messages people replied to / delivered; automatic replies do not count.',
        'ratio', 'up', 'marketing', 'email', 'P9, P10', false
    ),
    (
        36, 'email_bounce_rate', 'Messages bounced / sent.',
        'ratio', 'down', 'marketing', 'email', 'P9, P10', false
    ),
    (
        37, 'attributed_pipeline',
        'Amount of the opportunities created, shared out among the touches until then: 40 % to the first,'
        || ' 40 % to the last, the rest to those between.',
        '{{ money }}', 'up', 'marketing', 'crm', 'P10', false
    ),
    (
        38, 'attributed_revenue',
        'Amount of the opportunities won, shared out among the touches until their close in the same way.',
        '{{ money }}', 'up', 'marketing', 'crm', 'P10', false
    ),
    (
        51, 'contracted_arr',
        '12 x MRR at period end, and what is signed and not live by then: won opportunities whose'
        || ' subscription has not begun, and subscriptions ordered for later.',
        '{{ money }}', 'up', 'finance', 'billing', 'P2, P3, P5, P6, P7, P13', false
    ),
    (
        52, 'clv_historic',
        'What customers have paid until period end, less refunds and tax, x gross margin / customers who'
        || ' ever paid.',
        '{{ money }}', 'up', 'finance', 'billing', 'P1, P6, P9', false
    ),
    (
        53, 'magic_number',
        '4 x (recurring revenue of the quarter - that of the one before) / acquisition spend of the one'
        || ' before; a quarter''s recurring revenue is the MRR of its three months.',
        'times', 'up', 'finance', 'billing, finance', 'P2, P9, P10', false
    ),
    (
        54, 'dso_days',
        'Owed at period end / invoiced in the period x its days; voided and given up invoices and what'
        || ' credits took off are not owed.',
        'days', 'down', 'finance', 'billing', 'P9, P10', false
    ),
    (
        55, 'collection_rate',
        'Paid within terms / invoiced in the period and by now paid or due, less what credits took off;'
        || ' without a due date terms are the days of grace.',
        'ratio', 'up', 'finance', 'billing', 'P3, P9, P10', false
    ),
    (
        56, 'dunning_recovery_rate',
        'Invoices paid within the days of grace after a first attempt failed / first attempts that failed'
        || ' in the period; those still within grace and unpaid are not judged.',
        'ratio', 'up', 'finance', 'billing', 'P3, P9, P10', false
    ),
    (
        57, 'dunning_recovery_rate_value', 'As dunning_recovery_rate, by the amounts of the invoices.',
        'ratio', 'up', 'finance', 'billing', 'P3, P9, P10', false
    ),
    (
        39, 'weighted_pipeline',
        'Amount x probability of the stage, of the opportunities open at period end, whenever they close.',
        '{{ money }}', 'up', 'sales', 'crm', 'P10', false
    ),
    (
        40, 'pipeline_coverage',
        'Amount of the opportunities that were open as the period began and were to close in it / the quotas'
        || ' of the period.',
        'times', 'up', 'sales', 'crm, finance', 'P9, P10', false
    ),
    (
        41, 'slippage_rate',
        'Of the opportunities that were open as the period began and were to close in it: those whose close'
        || ' date left it, or that are still open when it ends, / all.',
        'ratio', 'down', 'sales', 'crm', 'P9, P10', false
    ),
    (
        42, 'slippage_rate_value',
        'As slippage_rate, by the amounts as the period began.',
        'ratio', 'down', 'sales', 'crm', 'P9, P10', false
    ),
    (
        43, 'forecast_wape',
        'Sum of |F - A| / sum of A, of the complete quarters that were forecast as in forecast_accuracy; at'
        || ' least four of them.',
        'ratio', 'down', 'sales', 'crm, finance', 'P9, P10', false
    ),
    (
        44, 'forecast_mape',
        'Mean of |F - A| / A over the same quarters, those without revenue left out.',
        'ratio', 'down', 'sales', 'crm, finance', 'P9, P10', false
    ),
    (
        45, 'forecast_bias',
        'Sum of (F - A) / sum of A over the same quarters: above 0 is forecast too high, 0 is best.',
        'ratio', 'down', 'sales', 'crm, finance', 'P9, P10', false
    ),
    (
        46, 'stage_conversion',
        'Visits of a CRM stage that went on / those that went on, back or were lost, by the period they began'
        || ' in. A stage that was skipped was passed; only months of an age by which most have left count.',
        'ratio', 'up', 'sales', 'crm', 'P9, P10', false
    ),
    (
        47, 'stage_dwell_days',
        'Median days of a visit of a CRM stage (Kaplan-Meier: those still there count as long as they have'
        || ' been there), by the period it began in.',
        'days', 'down', 'sales', 'crm', 'P10', false
    ),
    (
        48, 'speed_to_lead_minutes',
        'Median business minutes from the creation of a lead to the first e-mail or call that a person made,'
        || ' of the leads that were answered, by the period they were created in.',
        'minutes', 'down', 'sales', 'crm', 'P10', false
    ),
    (
        49, 'lead_sla_miss_rate',
        'Leads that waited more than {{ var("policies").lead_sla_minutes }} business minutes for an answer /'
        || ' leads that were answered or have waited that long; unanswered is missed.',
        'ratio', 'down', 'sales', 'crm', 'P9, P10', false
    ),
    (
        50, 'intra_period_churn',
        'Accounts that began and stopped to pay within one month: in no bridge, which compares the ends of'
        || ' months.',
        'accounts', 'down', 'customer success', 'billing', 'P1, P3, P4, P12', false
    )

),

subjects (kpi, subject, records, made_of, periods, segments, coverage) as (

    values
    {%- for subject, about in kpi_subjects().items() %}
    {%- for kpi, formula in kpi_formulas()[subject].items() %}
    (
        '{{ kpi }}',
        '{{ subject }}',
        '{{ about.records }}',
        '{{ formula.get("made_of", []) | join(", ") }}',
        '{{ about.get("periods", ["month", "quarter", "year", "all"]) | join(", ") }}',
        '{{ (["all"] + (about.get("segments", {}) | list)) | join(", ") }}',
        '{{ formula.get("coverage", ["", "", "nothing can be absent"])[2] | replace("'", "''") }}'
    ){{ "," if not loop.last }}
    {%- endfor %}{{ "," if not loop.last }}
    {%- endfor %}

),

final as (

    select
        definitions.kpi,
        definitions.formula,
        definitions.unit,
        definitions.better,
        definitions.owner_team,
        'KPI dictionary' as definition_source,
        definitions.policies,
        definitions.silos,
        definitions.is_headline,
        definitions.position,
        subjects.subject,
        subjects.records,
        nullif(subjects.made_of, '') as made_of,
        subjects.periods,
        subjects.segments,
        subjects.coverage

    from definitions
    left join subjects
        on definitions.kpi = subjects.kpi

)

select * from final
