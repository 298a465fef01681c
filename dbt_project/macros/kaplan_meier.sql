{#- Kaplan-Meier median of stays by groups: `days` a stay has lasted, `has_left` whether it is over; one still open
    only lasted at least so long. NULL days are left out; a group of which half have not left has no row. -#}
{% macro kaplan_meier_median(stays, by) -%}
{%- set groups = by | join(', ') -%}
    select {{ groups }}, min(days) as median_days
    from (
        select {{ groups }}, days, product(1 - leaving / staying) over (partition by {{ groups }} order by days) as share_left
        from (
            select
                {{ groups }},
                days,
                count(*) filter (where has_left) as leaving,
                sum(count(*)) over (
                    partition by {{ groups }} order by days rows between current row and unbounded following
                ) as staying
            from {{ stays }}
            where days >= 0
            group by {{ groups }}, days
        )
    )
    -- Shares are floats: half is half up to their last digits.
    where share_left <= 0.5 + 1e-9
    group by {{ groups }}
{%- endmacro %}


{#- Days until nine of ten stays that are over had ended: what began longer ago than that says how most end. -#}
{% macro matures_after() -%}
cast(quantile_disc(days, 0.9) filter (where has_left) as integer)
{%- endmacro %}
