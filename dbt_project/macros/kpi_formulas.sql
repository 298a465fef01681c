{#- Every KPI's arithmetic, once: numerator, denominator (1 where it says none) and coverage, the share of rows that
    have what the KPI needs (1 where it says none), and what that is. The names are columns of core.kpi_<subject>, or of
    a mart. A KPI is a sum over its subject's records unless it is made of other KPIs. -#}
{% macro kpi_formulas() -%}
{%- set policies = var('policies') -%}
{%- set arpa = ratio('mrr * ' ~ policies.gross_margin if policies.clv_gross_margin else 'mrr', 'paying') -%}
{%- set counts_new = policies.churn_denominator == 'opening_and_new' -%}
{%- set churn = ratio('churned_6m', 'opened_6m + new_6m' if counts_new else 'opened_6m') -%}
{%- set cycle = 'won ones with days from creation to close' -%}
{%- set converted = 'lines of spend whose exchange rate is known' -%}
{%- do return({
    'sales': {
        'win_rate': {'numerator': 'won', 'denominator': 'won + lost'},
        'win_rate_value': {
            'numerator': 'won_value', 'denominator': 'won_value + lost_value',
            'coverage': ['won_amounts + lost_amounts', 'won + lost', 'won and lost ones with an amount'],
        },
        'won_revenue': {'numerator': 'won_value', 'coverage': ['won_amounts', 'won', 'won ones with an amount']},
        'sales_cycle_days': {
            'numerator': 'cycle_median', 'coverage': ['cycles', 'won', cycle], 'made_of': ['sales_cycle_days_mean'],
        },
        'sales_cycle_days_mean': {
            'numerator': 'cycle_days', 'denominator': 'cycles', 'coverage': ['cycles', 'won', cycle],
        },
        'sales_cycle_days_p90': {
            'numerator': 'cycle_p90', 'coverage': ['cycles', 'won', cycle], 'made_of': ['sales_cycle_days_mean'],
        },
    },
    'pipeline': {
        'pipeline_velocity': {
            'numerator': 'case when cycles > 0 then '
            ~ ratio('open_count * won * won_value', '(won + lost) * won_amounts') ~ ' end',
            'denominator': 'case when won_amounts > 0 then ' ~ ratio('cycle_days', 'cycles') ~ ' end',
            'coverage': ['least(won_amounts, cycles)', 'won', 'won ones with an amount and a cycle'],
            'made_of': ['win_rate', 'won_revenue', 'sales_cycle_days_mean'],
        },
    },
    'quota': {
        'quota_attainment': {
            'numerator': 'won_value', 'denominator': 'quota',
            'coverage': ['rep_months_with_quota', 'rep_months', 'reps\' months that have a quota'],
        },
    },
    'forecast': {
        'forecast_accuracy': {
            'numerator': 'hit', 'denominator': 'actual',
            'coverage': ['judged', 'quarters', 'complete quarters that were forecast'],
        },
    },
    'revenue': {
        'logo_churn_rate': {
            'numerator': 'churned', 'denominator': 'opened + new_accounts' if counts_new else 'opened',
        },
        'intra_period_churn': {'numerator': 'brief_stays'},
        'gross_mrr_churn_rate': {'numerator': 'lost', 'denominator': 'opening'},
        'net_mrr_churn_rate': {
            'numerator': 'lost - expansion' ~ (' - reactivation' if policies.net_churn_reactivation else ''),
            'denominator': 'opening',
        },
        'involuntary_churn_rate': {'numerator': 'involuntary', 'denominator': 'opening'},
        'expansion_rate': {'numerator': 'expansion', 'denominator': 'opening'},
        'upsell_accounts': {'numerator': 'upsold'},
        'mrr': {'numerator': 'mrr'},
        'arr': {'numerator': '12 * mrr'},
        'arpa': {'numerator': 'mrr', 'denominator': 'paying'},
        'clv': {'numerator': arpa, 'denominator': churn, 'made_of': ['arpa', 'logo_churn_rate']},
        'quick_ratio': {'numerator': 'new_mrr + expansion', 'denominator': 'lost'},
        'nrr': {'numerator': 'retained_net', 'denominator': 'mrr_year_ago'},
        'grr': {'numerator': 'retained_gross', 'denominator': 'mrr_year_ago'},
    },
    'revenue_month': {
        'nrr_1m': {'numerator': 'opening - lost + expansion', 'denominator': 'opening'},
        'grr_1m': {'numerator': 'opening - lost', 'denominator': 'opening'},
    },
    'acquisition': {
        'cac': {
            'numerator': 'spend', 'denominator': 'new_accounts',
            'coverage': ['converted_lines', 'spend_lines', converted],
        },
        'cac_payback_months': {
            'numerator': 'spend', 'denominator': 'new_mrr * ' ~ policies.gross_margin,
            'coverage': ['converted_lines', 'spend_lines', converted],
        },
        'ltv_cac': {
            'numerator': ratio(arpa, churn), 'denominator': ratio('spend', 'new_accounts'),
            'coverage': ['converted_lines', 'spend_lines', converted], 'made_of': ['clv', 'cac'],
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


{#- What each subject counts, by which segments (and the column of each), and the periods it has (all of them where it
    says none). -#}
{% macro kpi_subjects() -%}
{%- do return({
    'sales': {
        'records': 'opportunities won or lost',
        'segments': {
            'team': 'team', 'owner': 'closing_owner_id', 'region': 'region', 'product': 'product',
            'source': 'lead_source',
        },
    },
    'pipeline': {'records': 'opportunities'},
    'quota': {'records': 'months of a rep', 'segments': {'team': 'team', 'owner': 'owner_id'}},
    'forecast': {'records': 'complete quarters', 'periods': ['quarter', 'year', 'all']},
    'revenue': {'records': 'accounts'},
    'revenue_month': {'records': 'accounts', 'periods': ['month']},
    'acquisition': {'records': 'lines of spend, and accounts that became customers'},
    'renewals': {'records': 'contract terms that ended'},
    'attribution': {
        'records': 'shares of an opportunity, by touch',
        'segments': {'channel': 'channel', 'campaign': 'campaign_key'},
    },
    'email': {'records': 'messages'},
}) -%}
{%- endmacro %}


{#- The segments a record counts in, the whole company among them: unnest makes columns segment and segment_value. -#}
{% macro kpi_segments(subject) -%}
unnest([
    {'segment': 'all', 'segment_value': 'all'}
    {%- for segment, column in kpi_subjects()[subject].segments.items() %},
    {'segment': '{{ segment }}', 'segment_value': coalesce({{ column }}, '(none)')}
    {%- endfor %}
], recursive := true)
{%- endmacro %}


{#- One KPI's value over columns at hand. -#}
{% macro kpi_ratio(subject, kpi) -%}
{%- set formula = kpi_formulas()[subject][kpi] -%}
{{ ratio(formula.numerator, formula.get('denominator', '1')) }}
{%- endmacro %}


{#- All KPIs of a subject as rows: unnest makes columns kpi, numerator, denominator and coverage of them. `of_records`:
    one record's part in each that is a sum over records; what has no denominator then has none. -#}
{% macro kpi_rows(subject, of_records=false) -%}
{%- set formulas = kpi_formulas()[subject].items() -%}
unnest([
    {%- for kpi, formula in (formulas | rejectattr('1.made_of') if of_records else formulas) %}
    {
        'kpi': '{{ kpi }}',
        'numerator': cast({{ formula.numerator }} as decimal(38, 12)),
        'denominator': cast({{ formula.get('denominator', 'null' if of_records else '1') }} as decimal(38, 12))
        {%- if not of_records %},
        'coverage': {% if formula.coverage -%}
        cast(coalesce({{ ratio(formula.coverage[0], formula.coverage[1]) }}, 1) as decimal(9, 6))
        {%- else -%}
        cast(1 as decimal(9, 6))
        {%- endif %}
        {%- endif %}
    }{{ ',' if not loop.last }}
    {%- endfor %}
], recursive := true)
{%- endmacro %}
