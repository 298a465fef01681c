"""KPIs that a gate holds back keep the value that was published last; everything else is published fresh."""

from __future__ import annotations

import duckdb

TABLE = "kpi_values"


def last_good(connection: duckdb.DuckDBPyConnection, has_former: bool) -> None:
    """Make a temporary table `kpi_values`: the warehouse's, with the last good values of what is held.

    The connection has the warehouse attached as `warehouse` and, with `has_former`, what was published until
    now as `former`. What is held and never was published is there without a value.
    """
    connection.execute(
        "create temp table kpi_values as from warehouse.marts.kpi_values where gate_status <> 'held'"
    )
    if has_former:
        connection.execute(
            """
            insert into kpi_values by name
            select * replace ('held' as gate_status)
            from former.marts.kpi_values
            where kpi in (select kpi from warehouse.marts.kpi_values where gate_status = 'held')
            """
        )
    connection.execute(
        """
        insert into kpi_values by name
        select * replace (null as numerator, null as denominator, null as value, null as coverage)
        from warehouse.marts.kpi_values
        anti join kpi_values using (kpi, period, period_start, segment, segment_value)
        """
    )
