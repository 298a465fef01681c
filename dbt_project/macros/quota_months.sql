{#- Quotas of a CTE by month: spread evenly over their months; the cents of all months add up to the quota. -#}
{% macro quota_months(quotas) -%}
select
    owner_id,
    team,
    currency,
    cast(first_month + to_months(cast(place - 1 as integer)) as date) as month,
    0.01 * cast(cents * place // month_count - cents * (place - 1) // month_count as decimal(18, 0)) as amount

from (
    select
        owner_id,
        team,
        {{ currency_or_reporting('currency') }} as currency,
        date_trunc('month', period_start) as first_month,
        greatest(datediff('month', period_start, period_end), 1) as month_count,
        cast(amount * 100 as hugeint) as cents

    from {{ quotas }}
) as spans, unnest(range(1, month_count + 1)) as places (place)
{%- endmacro %}
