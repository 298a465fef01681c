{#- A vendor's raw table over all sources of that vendor in revops.toml, with the source's name in `source`.
    The dbt source of the vendor stands for all of them in the lineage. -#}
{% macro raw_table(vendor, table) -%}
    (
        {#- lineage: #} /* {{ source(vendor, table) }} */
        {%- for configured in var('sources') if configured.type == vendor %}
        {% if not loop.first %}union all by name {% endif -%}
        select '{{ configured.name }}' as source, * from raw_{{ configured.name }}.{{ table }}
        {%- endfor %}
    )
{%- endmacro %}
