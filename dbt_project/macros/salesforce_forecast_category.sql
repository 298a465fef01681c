{#- Salesforce's forecast category, by name or by API value, in the words of the silo contract. -#}
{% macro salesforce_forecast_category(value) -%}
    case lower(replace({{ value }}, ' ', ''))
        when 'bestcase' then 'best_case'
        when 'mostlikely' then 'most_likely'
        when 'forecast' then 'commit'
        else lower(replace({{ value }}, ' ', ''))
    end
{%- endmacro %}
