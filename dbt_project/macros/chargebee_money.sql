{#- An amount in the smallest unit of its currency, of which ISO 4217 says how many make one, as money in major units.
    Multiplied, never divided: DuckDB divides decimals as floats. -#}
{% macro chargebee_money(amount, currency) -%}
    cast(
        cast({{ amount }} as decimal(20, 6)) * cast(
            case
                when upper({{ currency }}) in (
                    'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'VND', 'VUV',
                    'XAF', 'XOF', 'XPF'
                ) then 1
                when upper({{ currency }}) in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 0.001
                else 0.01
            end as decimal(4, 3)
        ) as decimal(18, 4)
    )
{%- endmacro %}
