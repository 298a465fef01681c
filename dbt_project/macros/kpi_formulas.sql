{#- Every KPI's arithmetic, once: numerator, denominator (1 where it says none) and coverage, the share of rows that
    have what the KPI needs (1 where it says none), and what that is. The names are columns of core.kpi_<subject>, or of
    a mart. A KPI is a sum over its subject's records unless it is made of other KPIs. -#}
{% macro kpi_formulas() -%}
{%- set policies = var('policies') -%}
{%- set arpa = ratio('mrr * ' ~ policies.gross_margin if policies.clv_gross_margin else 'mrr', 'paying') -%}
{%- set counts_new = policies.churn_denominator == 'opening_and_new' -%}
{%- set churn = ratio('churned_6m', 'opened_6m + new_6m' if counts_new else 'opened_6m') -%}
{%- set cycle = 'won ones with days from creation to close' -%}
{%- set forecast = ['judged', 'quarters', 'complete quarters that were forecast'] -%}
{%- set due = 'those that were due, with an amount' -%}
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
    'open_pipeline': {
        'weighted_pipeline': {
            'numerator': 'weighted',
            'coverage': ['open_valued', 'open_count', 'open ones with an amount and a probability'],
        },
    },
    'due_pipeline': {
        'pipeline_coverage': {
            'numerator': 'due_value', 'denominator': 'quota', 'coverage': ['due_with_amount', 'due', due],
        },
        'slippage_rate': {'numerator': 'slipped', 'denominator': 'due'},
        'slippage_rate_value': {
            'numerator': 'slipped_value', 'denominator': 'due_value', 'coverage': ['due_with_amount', 'due', due],
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
            'coverage': forecast,
        },
    },
    'forecast_error': {
        'forecast_wape': {'numerator': 'absolute_error', 'denominator': 'actual', 'coverage': forecast},
        'forecast_mape': {
            'numerator': 'relative_error', 'denominator': 'quarters_with_actual', 'coverage': forecast,
        },
        'forecast_bias': {'numerator': 'error', 'denominator': 'actual', 'coverage': forecast},
    },
    'stages': {
        'stage_conversion': {
            'numerator': 'advanced', 'denominator': 'advanced + exited',
            'coverage': ['matured', 'entered', 'visits of months by whose age nine of ten have left the stage'],
        },
        'stage_dwell_days': {
            'numerator': 'median_days', 'coverage': ['timed', 'entered', 'visits that were not imputed'],
            'made_of': ['stage_conversion'],
        },
    },
    'leads': {
        'speed_to_lead_minutes': {
            'numerator': 'minutes_median', 'coverage': ['answered', 'leads', 'leads that were answered'],
            'made_of': ['lead_sla_miss_rate'],
        },
        'lead_sla_miss_rate': {
            'numerator': 'missed', 'denominator': 'judged',
            'coverage': ['judged', 'leads', 'leads that were answered or have waited too long'],
        },
    },
    'revenue': {
        'logo_churn_rate': {
            'numerator': 'churned', 'denominator': 'opened + new_accounts' if counts_new else 'opened',
        },
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
    'intra_period': {'intra_period_churn': {'numerator': 'brief_stays'}},
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
    'billing': {
        'contracted_arr': {'numerator': 'contracted_arr'},
        'clv_historic': {'numerator': 'earned * ' ~ var('policies').gross_margin, 'denominator': 'payers'},
        'dso_days': {'numerator': 'receivable_days', 'denominator': 'invoiced'},
        'collection_rate': {
            'numerator': 'paid_in_terms', 'denominator': 'judged_amount',
            'coverage': ['judged', 'invoices', 'invoices that are paid or due'],
        },
        'dunning_recovery_rate': {'numerator': 'recovered', 'denominator': 'failures'},
        'dunning_recovery_rate_value': {'numerator': 'recovered_amount', 'denominator': 'failed_amount'},
    },
    'growth': {
        'magic_number': {
            'numerator': '4 * revenue_change', 'denominator': 'spend_before',
            'coverage': ['converted_lines_before', 'spend_lines_before', converted], 'made_of': ['mrr', 'cac'],
        },
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
    'open_pipeline': {'records': 'open opportunities', 'segments': {'team': 'team', 'owner': 'owner_id'}},
    'due_pipeline': {
        'records': 'opportunities that were to close in the period, and months of a rep with a quota',
        'segments': {'team': 'team', 'owner': 'owner_id'}, 'periods': ['month', 'quarter'],
    },
    'quota': {'records': 'months of a rep', 'segments': {'team': 'team', 'owner': 'owner_id'}},
    'forecast': {'records': 'complete quarters', 'periods': ['quarter', 'year', 'all']},
    'forecast_error': {'records': 'complete quarters', 'periods': ['year', 'all']},
    'stages': {
        'records': 'visits of a stage by an opportunity', 'segments': {'stage': 'stage', 'team': 'team'},
    },
    'leads': {
        'records': 'leads',
        'segments': {'team': 'team', 'owner': 'owner_id', 'source': 'lead_source'},
    },
    'revenue': {'records': 'accounts', 'segments': account_segments()},
    'intra_period': {'records': 'accounts'},
    'revenue_month': {'records': 'accounts', 'periods': ['month'], 'segments': account_segments()},
    'acquisition': {'records': 'lines of spend, and accounts that became customers'},
    'renewals': {'records': 'contract terms that ended', 'segments': account_segments()},
    'billing': {'records': 'invoices, and accounts at the end of the period'},
    'growth': {'records': 'complete quarters that have one before', 'periods': ['quarter']},
    'attribution': {
        'records': 'shares of an opportunity, by touch',
        'segments': {'channel': 'channel', 'campaign': 'campaign_key'},
    },
    'email': {'records': 'messages'},
}) -%}
{%- endmacro %}


{#- What an account is at the end of a period, of core.account_segments. -#}
{% macro account_segments() -%}
{%- do return({
    'team': 'team', 'owner': 'owner_id', 'region': 'region', 'country': 'country', 'size': 'size', 'plan': 'plan',
    'product': 'product', 'source': 'lead_source',
}) -%}
{%- endmacro %}


{#- The same as a map, of a table's row. -#}
{% macro account_segment_map(segments, account) -%}
map {
    'account': {{ account }}
    {%- for segment, column in account_segments().items() %},
    '{{ segment }}': coalesce({{ segments }}.{{ column }}, '(none)')
    {%- endfor %}
}
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
