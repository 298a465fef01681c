{#- dbt-duckdb's own, but for Python models: these write on a connection of their own, which the next step cannot see
    a temporary table of, and the ordinary one that dbt-duckdb makes instead is left in the warehouse by every run. What
    is not called temporary is dropped at the end; what a killed run left is dropped here. -#}
{% macro duckdb__dispatch_temporary_relation(target_relation, batch_id='') %}
    {% if model.language == 'python' %}
        {% set relation = default__make_temp_relation(target_relation, '__dbt_tmp').incorporate(type='table') %}
        {% do adapter.drop_relation(relation) %}
        {% do return({'relation': relation, 'temporary': false}) %}
    {% endif %}
    {% do return({'relation': make_temp_relation(target_relation), 'temporary': true}) %}
{% endmacro %}
