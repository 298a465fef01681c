"""What was published first of each complete period (P11), kept beside what is known of it now.

A KPI of a period is frozen with all its segments when it is first published after the period's end: in
`marts.kpi_reported` of the published marts, and in schema `reported` of the warehouse, with the records.
Either makes the other whole, so neither a deleted folder of marts nor a deleted warehouse loses the figures.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from settings.paths import Home

TABLE = "kpi_reported"
COMMENT = "One row per KPI, complete period and segment: what was published first of it, which never changes."
COLUMNS = {
    "kpi": "Name in kpi_definitions.",
    "period": "month, quarter or year.",
    "period_start": "First day of the period.",
    "segment": "As in kpi_values.",
    "segment_value": "As in kpi_values.",
    "numerator": "As it was published first.",
    "denominator": "As it was published first.",
    "value": "As it was published first; what is known now is in kpi_values.",
    "unit": "As it was published first.",
    "reported_at": "The instant that publication was as of.",
}
#: A company's history is first published with its first run. Who asks what changed asks about what ended
#: lately: the records of what ended longer before its publication are not kept.
RECORDS_KEPT = timedelta(days=100)

_FIGURES = ", ".join(name for name in COLUMNS if name != "reported_at")
_PERIOD = "kpi, period, period_start"
_RECORDS = f"{_PERIOD}, record_type, source, record_id, account, segments, numerator, denominator"


def first_published(connection: duckdb.DuckDBPyConnection, has_former: bool, as_of: datetime) -> None:
    """Make a temporary table `kpi_reported`: all that was ever published first, and what will be now.

    The connection has the warehouse attached as `warehouse`, with `has_former` what was published until now
    as `former`, and the table `kpi_values` of what will be. What a gate holds is not reported yet.
    """
    connection.execute(
        f"create temp table {TABLE} as select {_FIGURES}, cast($as_of as timestamptz) as reported_at"  # noqa: S608
        " from kpi_values limit 0",
        {"as_of": as_of},
    )
    kept = [f"warehouse.reported.{TABLE}", *([f"former.marts.{TABLE}"] if has_former else [])]
    for table in kept:
        if _exists(connection, table):
            connection.execute(
                f"insert into {TABLE} by name from {table} as known anti join {TABLE} using ({_PERIOD})"
            )
    connection.execute(
        f"""
        insert into {TABLE}
        select {_FIGURES}, $as_of
        from kpi_values as known
        semi join (
            from warehouse.core.calendar where is_complete and period <> 'all'
        ) using (period, period_start)
        anti join {TABLE} using ({_PERIOD})
        where gate_status <> 'held'
        """,  # noqa: S608
        {"as_of": as_of},
    )


def remember(home: Home, as_of: datetime) -> None:
    """Keep in the warehouse what the current marts say was published first, and the records of the new."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"attach '{_quoted(home.warehouse)}' as warehouse")
        connection.execute(f"attach '{_quoted(home.marts / 'current.duckdb')}' as published (read_only)")
        connection.execute("use warehouse")
        connection.execute("begin")
        connection.execute("create schema if not exists reported")
        for table, like in (
            (TABLE, f"from published.marts.{TABLE}"),
            ("kpi_records", f"select {_RECORDS} from core.kpi_records"),  # noqa: S608
        ):
            connection.execute(f"create table if not exists reported.{table} as {like} limit 0")
        new = f"(from published.marts.{TABLE} as known anti join reported.{TABLE} using ({_PERIOD}))"
        # After a crash between publication and this, the records are known only of what is still the same.
        connection.execute(
            f"""
            insert into reported.kpi_records by name
            select {_RECORDS}
            from core.kpi_records as records
            semi join (
                select {_PERIOD}
                from {new}
                inner join core.calendar using (period, period_start)
                inner join marts.kpi_values as known_now
                    using ({_PERIOD}, segment, segment_value, numerator, denominator)
                where segment = 'all' and period_end >= cast($since as date)
            ) using ({_PERIOD})
            """,  # noqa: S608
            {"since": as_of - RECORDS_KEPT},
        )
        connection.execute(f"insert into reported.{TABLE} by name from {new}")
        connection.execute("commit")


def _exists(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    database, schema, name = table.split(".")
    return bool(
        connection.execute(
            "select count(*) from duckdb_tables()"
            " where (database_name, schema_name, table_name) = ($database, $schema, $name)",
            {"database": database, "schema": schema, "name": name},
        ).fetchall()[0][0]
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
