{#- Tables that are kept from run to run and written only where records have changed. Such a model has `record` and
    `fingerprint`, and a post-hook that deletes rows without a fingerprint: of records that are gone. -#}

{#- Of all that a row depends on: the record's columns and the SQL that works on them. DuckDB's own hash. -#}
{% macro fingerprint(sql, columns) -%}
    hash('{{ local_md5(sql) }}', {{ columns }})
{%- endmacro %}

{#- Leaves the records that are new, or differ from when they were last written. -#}
{% macro unless_known() -%}
    {%- if is_incremental() %}
    anti join {{ this }} as known using (record, fingerprint)
    {%- endif %}
{%- endmacro %}

{#- Adds those that were there the run before and are no more. -#}
{% macro and_gone(records) -%}
    {%- if is_incremental() %}
    union all by name
    select record from {{ this }}
    anti join {{ records }} using (record)
    {%- endif %}
{%- endmacro %}

{#- A number by which records are ordered, the senior first: those of lower ranks, then the older. Where it is the same
    for two the record's name decides. -#}
{% macro seniority(rank) -%}
    {{ rank }} * 600000000000000000 + coalesce(epoch_us(created_at), 299999999999999999)
{%- endmacro %}
