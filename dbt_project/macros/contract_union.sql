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
        {%- set adding = var('sources') | selectattr('type', 'equalto', vendor) | selectattr('fields.' ~ table, 'defined') | list %}
        {%- if adding %}
        select staged.*, added.* exclude (source, record_id)
        from {{ ref('stg_' ~ vendor ~ '__' ~ table) }} as staged
        left join (
            {%- for configured in adding %}
            {%- set custom = configured.fields[table] %}
            {{ 'union all by name' if not loop.first }}
            select '{{ configured.name }}' as source, {{ adapter.quote(custom.key) }} as record_id
                {%- for column, sql in custom.columns.items() %}, {{ sql }} as {{ adapter.quote(column) }}{% endfor %}
            from raw_{{ configured.name }}.{{ custom.table }}
            {%- endfor %}
        ) as added
            on staged.source = added.source and staged.{{ adding[0].fields[table].contract_key }} = added.record_id
        {%- else %}
        select * from {{ ref('stg_' ~ vendor ~ '__' ~ table) }}
        {%- endif %}
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
        {%- for column in added_columns(silo, table) %},
        cast({{ adapter.quote(column) }} as varchar) as {{ adapter.quote(column) }}
        {%- endfor %}
    from united
{%- endmacro %}

{#- Columns that a company has added to a contract table, in the order of its sources. -#}
{% macro added_columns(silo, table) -%}
    {%- set found = [] %}
    {%- for configured in var('sources') if configured.silo == silo and table in configured.get('fields', {}) %}
    {%- do found.extend(configured.fields[table].columns) %}
    {%- endfor %}
    {%- do return(found | unique | list) %}
{%- endmacro %}
