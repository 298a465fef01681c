{#- Schemas are named by the design (crm, core, marts, ...), so a custom schema is taken as it is. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
