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
        {%- set vendors, files = [], [] %}
        {%- for configured in var('sources') if configured.silo == silo and table in configured.tables %}
        {%- do (files.append(configured) if configured.type == 'files' else vendors.append(configured.type)) %}
        {%- endfor %}
        {%- for vendor in vendors | unique | sort %}
        union all by name
        select * from {{ ref('stg_' ~ vendor ~ '__' ~ table) }}
        {%- endfor %}
        {%- for configured in files %}
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
