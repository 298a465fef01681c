{#- Every KPI's arithmetic, once: numerator, denominator (1 where it says none) and coverage, the share of rows that
    have what the KPI needs (1 where it says none). The names are columns of core.kpi_<subject>, or of a mart. -#}
{% macro kpi_formulas() -%}
{%- set arpa = ratio('mrr * ' ~ var('policies').gross_margin, 'paying') -%}
{%- set churn = ratio('churned_6m', 'opened_6m') -%}
{%- do return({
    'sales': {
        'win_rate': {'numerator': 'won', 'denominator': 'won + lost'},
        'win_rate_value': {
            'numerator': 'won_value', 'denominator': 'won_value + lost_value',
            'coverage': ['won_amounts + lost_amounts', 'won + lost'],
        },
        'won_revenue': {'numerator': 'won_value', 'coverage': ['won_amounts', 'won']},
        'sales_cycle_days': {'numerator': 'cycle_median', 'coverage': ['cycles', 'won']},
        'sales_cycle_days_mean': {
            'numerator': 'cycle_days', 'denominator': 'cycles', 'coverage': ['cycles', 'won'],
        },
        'sales_cycle_days_p90': {'numerator': 'cycle_p90', 'coverage': ['cycles', 'won']},
    },
    'pipeline': {
        'pipeline_velocity': {
            'numerator': 'case when cycles > 0 then '
            ~ ratio('open_count * won * won_value', '(won + lost) * won_amounts') ~ ' end',
            'denominator': 'case when won_amounts > 0 then ' ~ ratio('cycle_days', 'cycles') ~ ' end',
            'coverage': ['least(won_amounts, cycles)', 'won'],
        },
    },
    'quota': {
        'quota_attainment': {
            'numerator': 'won_value', 'denominator': 'quota', 'coverage': ['rep_months_with_quota', 'rep_months'],
        },
    },
    'forecast': {
        'forecast_accuracy': {'numerator': 'hit', 'denominator': 'actual', 'coverage': ['judged', 'quarters']},
    },
    'revenue': {
        'logo_churn_rate': {'numerator': 'churned', 'denominator': 'opened'},
        'gross_mrr_churn_rate': {'numerator': 'lost', 'denominator': 'opening'},
        'net_mrr_churn_rate': {'numerator': 'lost - expansion', 'denominator': 'opening'},
        'involuntary_churn_rate': {'numerator': 'involuntary', 'denominator': 'opening'},
        'expansion_rate': {'numerator': 'expansion', 'denominator': 'opening'},
        'upsell_accounts': {'numerator': 'upsold'},
        'mrr': {'numerator': 'mrr'},
        'arr': {'numerator': '12 * mrr'},
        'arpa': {'numerator': 'mrr', 'denominator': 'paying'},
        'clv': {'numerator': arpa, 'denominator': churn},
        'quick_ratio': {'numerator': 'new_mrr + expansion', 'denominator': 'lost'},
        'nrr': {'numerator': 'retained_net', 'denominator': 'mrr_year_ago'},
        'grr': {'numerator': 'retained_gross', 'denominator': 'mrr_year_ago'},
    },
    'revenue_month': {
        'nrr_1m': {'numerator': 'opening - lost + expansion', 'denominator': 'opening'},
        'grr_1m': {'numerator': 'opening - lost', 'denominator': 'opening'},
    },
    'acquisition': {
        'cac': {'numerator': 'spend', 'denominator': 'new_accounts', 'coverage': ['converted_lines', 'spend_lines']},
        'cac_payback_months': {
            'numerator': 'spend', 'denominator': 'new_mrr * ' ~ var('policies').gross_margin,
            'coverage': ['converted_lines', 'spend_lines'],
        },
        'ltv_cac': {
            'numerator': ratio(arpa, churn), 'denominator': ratio('spend', 'new_accounts'),
            'coverage': ['converted_lines', 'spend_lines'],
        },
    },
    'renewals': {
        'renewal_rate': {'numerator': 'renewed', 'denominator': 'due'},
        'renewal_rate_value': {'numerator': 'renewed_value_capped', 'denominator': 'due_value'},
        'renewal_rate_net': {'numerator': 'renewed_value', 'denominator': 'due_value'},
    },
    'attribution': {
        'attributed_pipeline': {'numerator': 'pipeline'},
        'attributed_revenue': {'numerator': 'revenue'},
    },
    'email': {
        'email_open_rate': {'numerator': 'opened', 'denominator': 'delivered'},
        'email_adjusted_open_rate': {
            'numerator': 'opened - machine_opened', 'denominator': 'delivered - machine_opened',
        },
        'email_click_rate': {'numerator': 'clicked', 'denominator': 'delivered'},
        'email_click_to_open_rate': {'numerator': 'clicked', 'denominator': 'opened'},
        'email_reply_rate': {'numerator': 'replied', 'denominator': 'delivered'},
        'email_bounce_rate': {'numerator': 'bounced', 'denominator': 'sent'},
    },
}) -%}
{%- endmacro %}


{#- One KPI's value over columns at hand. -#}
{% macro kpi_ratio(subject, kpi) -%}
{%- set formula = kpi_formulas()[subject][kpi] -%}
{{ ratio(formula.numerator, formula.get('denominator', '1')) }}
{%- endmacro %}


{#- All KPIs of a subject as rows: unnest makes columns kpi, numerator, denominator and coverage of them. -#}
{% macro kpi_rows(subject) -%}
unnest([
    {%- for kpi, formula in kpi_formulas()[subject].items() %}
    {
        'kpi': '{{ kpi }}',
        'numerator': cast({{ formula.numerator }} as decimal(38, 12)),
        'denominator': cast({{ formula.get('denominator', '1') }} as decimal(38, 12)),
        'coverage': {% if formula.coverage -%}
        cast(coalesce({{ ratio(formula.coverage[0], formula.coverage[1]) }}, 1) as decimal(9, 6))
        {%- else -%}
        cast(1 as decimal(9, 6))
        {%- endif %}
    }{{ ',' if not loop.last }}
    {%- endfor %}
], recursive := true)
{%- endmacro %}
