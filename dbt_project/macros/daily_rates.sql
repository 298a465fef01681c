{#- One exchange rate per foreign currency and day: the last loaded, where several sources quote it. Wide, because
    DuckDB multiplies decimals of up to 18 digits within 18 digits: a million x 1.00000000 is too much for them. -#}
{% macro daily_rates(fx_rates) -%}
    select
        rate_date,
        upper(currency) as currency,
        cast(arg_max(rate, (coalesce(loaded_at, '-infinity'), source)) as decimal(38, 8)) as rate

    from {{ fx_rates }}
    where not coalesce(is_deleted, false) and rate is not null and upper(currency) <> '{{ var("currency") }}'
    group by rate_date, upper(currency)
{%- endmacro %}
