{#- Seconds of business hours from a Monday long ago to an instant, in the reporting time zone: the difference of two is
    the business time between them. -#}
{% macro business_seconds(instant) -%}
{%- set hours = var('business_hours') -%}
{%- set local = "timezone('" ~ var('timezone') ~ "', " ~ instant ~ ")" -%}
{%- set day = "datediff('day', date '1900-01-01', cast(" ~ local ~ " as date))" -%}
{%- set worked = [] -%}
{%- set before = [] -%}
{%- for weekday in range(7) -%}
{%- do before.append(worked | sum) -%}
{%- do worked.append(1 if weekday in hours.days else 0) -%}
{%- endfor -%}
(
    {{ hours.closes - hours.opens }} * (({{ day }}) // 7 * {{ worked | sum }} + {{ before }}[({{ day }}) % 7 + 1])
    + {{ worked }}[({{ day }}) % 7 + 1] * greatest(0, least(
        {{ hours.closes - hours.opens }},
        datediff('second', date_trunc('day', {{ local }}), {{ local }}) - {{ hours.opens }}
    ))
)
{%- endmacro %}
