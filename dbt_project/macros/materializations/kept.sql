{#- A table of which only what changed is computed again. Its model is written as if all were, and says besides:
    `kept_by`, the columns of a key whose rows come of no other key's; a CTE `fingerprints` with those columns and
    `fingerprint`, a number that differs when anything differs that the key's rows come of, the instant of the run
    included; and where its CTEs can do without what is kept, {{ unless_kept() }}. The SQL and what configures it
    are part of every fingerprint, so that other policies make all of it anew. -#}
{% materialization kept, adapter = 'duckdb' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type = 'table') -%}
    {%- set keys = config.require('kept_by') -%}
    {%- set listed = keys | join(', ') -%}
    {%- set known = api.Relation.create(
        database = this.database, schema = 'core', identifier = 'kept_' ~ this.identifier
    ) -%}
    {%- set lasting = local_md5(compiled_code | replace(var('as_of'), '') ~ model.columns) -%}
    {{ run_hooks(pre_hooks, inside_transaction = False) }}
    {{ run_hooks(pre_hooks, inside_transaction = True) }}

    {% call statement('compare') %}
        create or replace temp table present as
        select {{ listed }}, hash('{{ lasting }}', fingerprint) as fingerprint
        from (
            {{ compiled_code.rpartition('select * from final')[0] }} select * from fingerprints
        );
        create table if not exists {{ known }} as from present limit 0;
        create or replace temp table kept as
        select {{ listed }} from present semi join {{ known }} using ({{ listed }}, fingerprint);
    {% endcall %}
    {%- set share = run_query(
        'select (select count(*) from kept) / (select greatest(count(*), 1) from present)'
    ).columns[0][0] -%}

    {% if existing is none or not existing.is_table or flags.FULL_REFRESH or share < 0.5 %}
        {% if existing is not none %}{% do adapter.drop_relation(existing) %}{% endif %}
        {% call statement('main') %}
            {{ create_table_as(False, target, compiled_code) }}
        {% endcall %}
    {% else %}
        {% call statement('main') %}
            delete from {{ target }} as stale
            where not exists (
                select * from kept
                where {% for key in keys %}{{ 'and ' if not loop.first }}kept.{{ key }} = stale.{{ key }} {% endfor %}
            );
            insert into {{ target }} by name (
                {{ compiled_code | replace(unless_kept(), 'anti join kept using (' ~ listed ~ ')') }}
            );
        {% endcall %}
    {% endif %}
    {% call statement('remember') %}
        create or replace table {{ known }} as from present;
        drop table present;
        drop table kept;
    {% endcall %}
    {% do persist_docs(target, model) %}
    {{ run_hooks(post_hooks, inside_transaction = True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction = False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
