{#- For CTEs of a model that is `kept`: what is not computed again stays out of here. See materializations/kept.sql. -#}
{% macro unless_kept() -%}
    /* unless kept */
{%- endmacro %}
