{#- When a whole term from an instant on ends, less an hour: a line that ends earlier bills a part of a term. The hour
    makes up for daylight saving time; a term that is longer than its months (28 February to 31 March) is whole. -#}
{% macro chargebee_term_end(since, interval, interval_count) -%}
    case {{ interval }}
        when 'day' then {{ since }} + to_days(cast({{ interval_count }} as integer)) - interval 1 hour
        when 'week' then {{ since }} + to_days(cast(7 * {{ interval_count }} as integer)) - interval 1 hour
        when 'month' then {{ since }} + to_months(cast({{ interval_count }} as integer)) - interval 1 hour
        when 'year' then {{ since }} + to_months(cast(12 * {{ interval_count }} as integer)) - interval 1 hour
    end
{%- endmacro %}
