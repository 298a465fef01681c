{#- Fails with every value of the grain that occurs more than once or is not known. -#}
{% test unique_grain(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as row_count
    from {{ model }}
    group by all
    having count(*) > 1
        {%- for column in columns %} or {{ column }} is null{% endfor %}
{% endtest %}
