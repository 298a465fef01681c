{#- From the MRR in force at a month's end to the month's cash: each step explains a difference, and a residual what no
    step explains. The value of a subtotal is the sum of what is above it. -#}
{% macro mrr_to_cash() -%}
{%- do return([
    {'subtotal': 'billed_mrr', 'steps': [
        'paused', 'past_grace', 'changed', 'ended', 'not_counted', 'not_invoiced', 'never_invoiced',
        'without_subscription', 'billing_residual',
    ]},
    {'subtotal': 'invoiced', 'steps': [
        'terms', 'prorations', 'one_off', 'discounts', 'tax', 'invoicing_residual',
    ]},
    {'subtotal': 'cash', 'steps': [
        'credit_notes', 'credits_left', 'unpaid', 'collected_earlier', 'refunds', 'cash_residual',
    ]},
]) -%}
{%- endmacro %}

{#- What the steps from MRR to cash are summed up from: the CTEs `..._amounts`, and the steps that each knows of. -#}
{% macro walk_parts() -%}
{%- set to_billed, to_invoiced, to_cash = mrr_to_cash() | map(attribute='steps') -%}
{%- do return({
    'mrr': ['mrr'] + to_billed + ['terms'],
    'invoice': to_invoiced + (to_cash | reject('eq', 'refunds') | list),
    'cash': ['refunds', 'cash_residual'],
}) -%}
{%- endmacro %}

{#- A step, of the CTEs `..._sums` joined. -#}
{% macro sum_of_parts(step) -%}
{%- for part, steps in walk_parts().items() if step in steps -%}
coalesce({{ part }}_sums.{{ step }}, 0){{ ' + ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}

{#- From last month's contracted ARR to this month's. -#}
{% macro bookings_to_arr() -%}
{%- do return([
    'bookings', 'renewals_booked', 'booked_discounts', 'booked_not_contracted', 'gained_unbooked',
    'live_otherwise', 'lost', 'fx', 'bookings_residual',
]) -%}
{%- endmacro %}

{#- Every amount of the walk but its first, in order. -#}
{% macro walk_amounts() -%}
{%- set found = bookings_to_arr() + ['contracted_arr', 'signed_not_live', 'mrr'] -%}
{%- for part in mrr_to_cash() -%}
{%- do found.extend(part.steps + [part.subtotal]) -%}
{%- endfor -%}
{%- do return(found) -%}
{%- endmacro %}
