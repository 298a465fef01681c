{#- The steps of the funnel, in order. -#}
{% macro funnel_steps() -%}
    {%- do return([
        'contacted', 'engaged', 'replied', 'lead', 'mql', 'sql', 'opportunity', 'won', 'subscribed', 'paid',
    ]) -%}
{%- endmacro %}
