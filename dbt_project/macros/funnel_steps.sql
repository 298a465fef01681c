{#- The steps of the funnel, in order. Within a silo they follow on each other: who got to one has passed those it
    implies. -#}
{% macro funnel_steps() -%}
    {%- do return([
        {'step': 'contacted', 'silo': 'email', 'implies': []},
        {'step': 'engaged', 'silo': 'email', 'implies': ['contacted']},
        {'step': 'replied', 'silo': 'email', 'implies': ['contacted', 'engaged']},
        {'step': 'lead', 'silo': 'crm', 'implies': []},
        {'step': 'mql', 'silo': 'crm', 'implies': ['lead']},
        {'step': 'sql', 'silo': 'crm', 'implies': ['lead', 'mql']},
        {'step': 'opportunity', 'silo': 'crm', 'implies': ['lead', 'mql', 'sql']},
        {'step': 'won', 'silo': 'crm', 'implies': ['lead', 'mql', 'sql', 'opportunity']},
        {'step': 'subscribed', 'silo': 'billing', 'implies': []},
        {'step': 'paid', 'silo': 'billing', 'implies': ['subscribed']},
        {'step': 'renewed', 'silo': 'billing', 'implies': ['subscribed', 'paid']},
        {'step': 'expanded', 'silo': 'billing', 'implies': ['subscribed']},
        {'step': 'contracted', 'silo': 'billing', 'implies': ['subscribed']},
        {'step': 'churned', 'silo': 'billing', 'implies': ['subscribed']},
        {'step': 'reactivated', 'silo': 'billing', 'implies': ['subscribed', 'churned']},
    ]) -%}
{%- endmacro %}

{#- Those that a journey takes one after the other; what follows is the life of a customer. -#}
{% macro funnel_stages() -%}
    {%- do return(funnel_steps()[:10] | map(attribute='step') | list) -%}
{%- endmacro %}

{#- Words of revops.toml as a list of lower case. -#}
{% macro lower_list(words) -%}
    cast([
        {%- for word in words %}'{{ word | lower | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
    ] as varchar[])
{%- endmacro %}
