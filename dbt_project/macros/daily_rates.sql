{#- One exchange rate per foreign currency and day: the last loaded, where several sources quote it. -#}
{% macro daily_rates(fx_rates) -%}
    select
        rate_date,
        upper(currency) as currency,
        arg_max(rate, (coalesce(loaded_at, '-infinity'), source)) as rate

    from {{ fx_rates }}
    where not coalesce(is_deleted, false) and rate is not null and upper(currency) <> '{{ var("currency") }}'
    group by rate_date, upper(currency)
{%- endmacro %}
