{#- An amount shared out by weights, as decimals of so many digits, whose sum is the amount: each part is rounded down, and
    what is left goes one by one to the largest remainders, the first in order of two alike. A row's weight is
    <weight>_weight of <weight>_weights, whole numbers; the parts of one amount are a partition. -#}
{% macro largest_remainder(amount, digits, weight, partition, order) -%}
{%- set total = 'abs(cast(' ~ amount ~ ' * ' ~ 10 ** digits ~ ' as hugeint))' -%}
{%- set parts = total ~ ' * ' ~ weight ~ '_weight' -%}
{%- set weights = weight ~ '_weights' -%}
cast((
    {{ parts }} // {{ weights }}
    + cast(
        row_number() over (partition by {{ partition }} order by {{ parts }} % {{ weights }} desc, {{ order }})
        <= {{ total }} - sum({{ parts }} // {{ weights }}) over (partition by {{ partition }}) as integer
    )
) * sign({{ amount }}) as decimal(18, 0))
* cast({{ 10 ** -digits }} as decimal({{ digits + 1 }}, {{ digits }}))
{%- endmacro %}

{#- How a sale is shared out among the touches before it. -#}
{% macro attribution_models() -%}
    {%- do return(['first_touch', 'last_touch', 'linear', 'position_based']) -%}
{%- endmacro %}
