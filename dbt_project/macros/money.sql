{#- Money is rounded half away from zero, to cents, once. Decimals in DuckDB multiply exactly but divide as floats,
    so whatever needs a division is kept as a fraction of whole numbers until it is rounded. -#}

{#- An exact decimal, rounded. -#}
{% macro cents(amount) -%}
    cast(round({{ amount }}, 2) as decimal(18, 2))
{%- endmacro %}

{#- A fraction of whole numbers that is not negative, rounded. -#}
{% macro cents_of_fraction(numerator, denominator) -%}
    cast(
        cast((200 * ({{ numerator }}) + ({{ denominator }})) // (2 * ({{ denominator }})) as decimal(18, 0))
        * cast(0.01 as decimal(3, 2)) as decimal(18, 2)
    )
{%- endmacro %}

{#- A decimal(18, 4) as a whole number of ten-thousandths. -#}
{% macro ten_thousandths(amount) -%}
    cast(cast({{ amount }} as decimal(30, 4)) * 10000 as hugeint)
{%- endmacro %}

{#- A currency code; a record without one is in the reporting currency. -#}
{% macro currency_or_reporting(currency) -%}
    coalesce(upper({{ currency }}), '{{ var("currency") }}')
{%- endmacro %}

{#- Charges of an interval in a year: a month's worth is amount x this / (12 x interval_count). -#}
{% macro charges_a_year(interval) -%}
    case {{ interval }} when 'day' then 365 when 'week' then 52 when 'month' then 12 when 'year' then 1 end
{%- endmacro %}

{#- What an invoice asks for: its total less what credits have taken off it, never less than nothing. -#}
{% macro collectible(invoices) -%}
    greatest(coalesce(nullif({{ invoices }}.amount_due, 0), {{ invoices }}.amount_paid, {{ invoices }}.total, 0), 0)
{%- endmacro %}
