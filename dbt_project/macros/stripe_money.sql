{#- An amount in Stripe's smallest unit as money in major units. Multiplied, never divided: DuckDB divides
    decimals as floats. UGX has no minor unit, yet Stripe sends it with two decimals. -#}
{% macro stripe_money(amount, currency) -%}
    cast(
        cast({{ amount }} as decimal(20, 6)) * cast(
            case
                when upper({{ currency }}) in (
                    'BIF', 'CLP', 'DJF', 'GNF', 'JPY', 'KMF', 'KRW', 'MGA', 'PYG', 'RWF', 'VND', 'VUV',
                    'XAF', 'XOF', 'XPF'
                ) then 1
                when upper({{ currency }}) in ('BHD', 'JOD', 'KWD', 'OMR', 'TND') then 0.001
                else 0.01
            end as decimal(4, 3)
        ) as decimal(18, 4)
    )
{%- endmacro %}
