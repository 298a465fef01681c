{#- One contract table: every configured source of the silo that has it, under the columns and types that the
    model's YAML lists. No source at all gives an empty table. -#}
{% macro contract_union(silo, table) -%}
    with united as (
        select
            {%- for column in model.columns.values() %}
            cast(null as {{ column.data_type }}) as {{ adapter.quote(column.name) }}{{ ',' if not loop.last }}
            {%- endfor %}
            {%- if not model.columns %} null as source{% endif %}
        where false
        {%- for vendor in var('source_types') if table in vendor_tables().get(vendor, []) %}
        {%- if var('sources') | selectattr('type', 'equalto', vendor) | selectattr('silo', 'equalto', silo) | list %}
        union all by name
        select * from {{ ref('stg_' ~ vendor ~ '__' ~ table) }}
        {%- endif %}
        {%- endfor %}
        {%- for configured in var('sources')
            if configured.type == 'files' and configured.silo == silo and table in configured.tables %}
        union all by name
        select '{{ configured.name }}' as source, _loaded_at as loaded_at, * exclude (_loaded_at)
        from raw_{{ configured.name }}.{{ table }} /* {{ source('files', silo ~ '__' ~ table) }} */
        {%- endfor %}
    )

    select
        {%- for column in model.columns.values() %}
        cast({{ adapter.quote(column.name) }} as {{ column.data_type }}) as {{ adapter.quote(column.name) }}
        {{- ',' if not loop.last }}
        {%- endfor %}
        {%- if not model.columns %} *{% endif %}
    from united
{%- endmacro %}
