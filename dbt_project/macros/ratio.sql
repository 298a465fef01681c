{#- Numerator over denominator to 12 decimals, rounded half away from zero; NULL over zero. A long division of
    integers, because DuckDB divides decimals as floats. Both fit decimal(38, 12), whose digits without the point are
    the integer: a product of decimals would overflow from 1e14 on. A denominator stays below 8e13. -#}
{% macro ratio(numerator, denominator) -%}
{%- set n = "cast(replace(cast(cast(" ~ numerator ~ " as decimal(38, 12)) as varchar), '.', '') as hugeint)" -%}
{%- set d = "cast(replace(cast(cast(" ~ denominator ~ " as decimal(38, 12)) as varchar), '.', '') as hugeint)" -%}
case
    when {{ d }} <> 0
        then cast(
            sign({{ n }}) * sign({{ d }}) * (
                (abs({{ n }}) // abs({{ d }})) * 1000000000000
                + (2000000000000 * (abs({{ n }}) % abs({{ d }})) + abs({{ d }})) // (2 * abs({{ d }}))
            ) as decimal(38, 0)
        ) * cast(0.000000000001 as decimal(12, 12))
end
{%- endmacro %}
