"""The records that core.kpi_records gives each KPI against the figures they are behind."""

from __future__ import annotations

import duckdb

_DIFFERENCES = """
with

parts as (
    select
        kpi,
        period,
        period_start,
        numerator,
        denominator,
        unnest(map_entries(map_concat(map {'all': 'all'}, segments)), recursive := true)
    from core.kpi_records
),

sums as (
    select
        kpi, period, period_start, key as segment, value as segment_value,
        sum(numerator) as numerator, sum(denominator) as denominator
    from parts
    group by all
),

covered as (
    select kpi, bool_or(denominator is not null) as is_ratio
    from core.kpi_records
    group by all
)

select kpi_values.*, sums.numerator, sums.denominator
from marts.kpi_values
inner join marts.kpi_definitions using (kpi)
left join covered using (kpi)
left join sums using (kpi, period, period_start, segment, segment_value)
where
    kpi_definitions.made_of is null
    and (
        kpi_values.numerator is distinct from coalesce(sums.numerator, 0)
        or kpi_values.denominator is distinct from
            coalesce(sums.denominator, case when is_ratio then 0 else 1 end)
    )
"""


def differences(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    """Figures whose numerator or denominator is not the sum of their records'.

    A KPI made of others has no records; every other must have some.
    """
    bare = warehouse.execute(
        "select kpi from marts.kpi_definitions"
        " where made_of is null and kpi not in (select kpi from core.kpi_records)"
    ).fetchall()
    wrong = warehouse.execute(_DIFFERENCES).fetchall()
    return [f"{kpi}: no record" for (kpi,) in bare] + [" ".join(map(str, row)) for row in wrong]
