{#- The reporting time zone, in one place. Instants are UTC; days, months and quarters are the company's. -#}

{#- The first instant that no longer counts. -#}
{% macro as_of() -%}
    cast('{{ var("as_of") }}' as timestamptz)
{%- endmacro %}

{#- The day an instant falls on. -#}
{% macro local_date(instant) -%}
    cast(timezone('{{ var("timezone") }}', {{ instant }}) as date)
{%- endmacro %}

{#- The first instant of a day. -#}
{% macro local_midnight(day) -%}
    timezone('{{ var("timezone") }}', cast({{ day }} as timestamp))
{%- endmacro %}

{#- The last day of which anything counts. -#}
{% macro last_day() -%}
    {{ local_date(as_of() ~ " - interval 1 microsecond") }}
{%- endmacro %}

{#- First day of the fiscal year (12 months) or quarter (3) that a day lies in. -#}
{% macro fiscal_period(months, day) -%}
    cast(
        date_trunc('month', {{ day }}) - to_months(
            (month({{ day }}) + 12 - {{ var("fiscal_year_start") }}) % {{ months }}
        ) as date
    )
{%- endmacro %}
