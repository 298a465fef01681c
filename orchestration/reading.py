"""What the commands read: the published marts, the gap register, the raw tables' load times."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from settings.errors import UserError
from settings.paths import Home

Row = dict[str, Any]
PERIODS = ("month", "quarter", "year", "all")


def kpi_values(home: Home, kpi: str | None, period: str | None, by: str) -> list[Row]:
    """Rows of the published `kpi_values` of one segment, in the order of the definitions and of time.

    Raises `UserError` for a KPI, period or segment that is not there, and where nothing is published yet.
    """
    with open_marts(home) as marts:
        _must_be_one_of(marts, "--kpi", kpi, "select kpi from marts.kpi_values")
        _must_be_one_of(marts, "--by", by, "select segment from marts.kpi_values")
        return rows_of(
            marts,
            """
            select vals.*
            from marts.kpi_values as vals
            inner join marts.kpi_definitions as definitions using (kpi)
            where
                vals.segment = $segment
                and ($kpi is null or vals.kpi = $kpi)
                and ($period is null or vals.period = $period)
            order by definitions.position, vals.period, vals.period_start, vals.segment_value
            """,
            {"segment": by, "kpi": kpi, "period": period},
        )


def reported_kpis(home: Home, kpi: str | None, period: str | None, by: str) -> list[Row]:
    """What was published first of each complete period, in order; `restated` is its value now.

    `change` is what that is more; none where either has no value. Raises `UserError` as `kpi_values` does.
    """
    with open_marts(home) as marts:
        _must_be_one_of(marts, "--kpi", kpi, "select kpi from marts.kpi_reported")
        _must_be_one_of(marts, "--by", by, "select segment from marts.kpi_reported")
        return rows_of(
            marts,
            """
            select
                reported.*,
                vals.value as restated,
                vals.value - reported.value as change
            from marts.kpi_reported as reported
            left join marts.kpi_values as vals using (kpi, period, period_start, segment, segment_value)
            left join marts.kpi_definitions as definitions using (kpi)
            where
                reported.segment = $segment
                and ($kpi is null or kpi = $kpi)
                and ($period is null or period = $period)
            order by definitions.position, period, period_start, segment_value
            """,
            {"segment": by, "kpi": kpi, "period": period},
        )


def headlines(home: Home) -> list[str]:
    """The ten KPIs, as far as the configured silos give them."""
    with open_marts(home) as marts:
        found = rows_of(marts, "select kpi from marts.kpi_definitions where is_headline")
    return [row["kpi"] for row in found]


def held_kpis(home: Home) -> list[str]:
    """KPIs that the last run published at their last good value, in order."""
    with open_marts(home) as marts:
        found = rows_of(
            marts,
            "select kpi from marts.kpi_definitions"
            " where kpi in (select kpi from marts.kpi_values where gate_status = 'held') order by position",
        )
    return [row["kpi"] for row in found]


def latest_headlines(home: Home) -> list[Row]:
    """The newest value there is of each headline KPI by length of period, in order.

    Raises `UserError` where nothing is published yet, as do the two below.
    """
    with open_marts(home) as marts:
        return rows_of(
            marts,
            """
            select vals.kpi, vals.period, vals.period_start, vals.value, vals.coverage
            from marts.kpi_values as vals
            inner join marts.kpi_definitions as definitions using (kpi)
            where definitions.is_headline and vals.segment = 'all' and vals.value is not null
            qualify row_number() over (partition by vals.kpi, vals.period order by vals.period_start desc) = 1
            order by definitions.position, vals.period
            """,
        )


def open_gaps(home: Home) -> list[Row]:
    """How many published gaps are open and what they put at risk, by severity and type, in their order."""
    with open_marts(home) as marts:
        return rows_of(
            marts,
            """
            select severity, gap_type, currency, count(*) as gaps, sum(money_at_risk) as money_at_risk
            from marts.silo_gaps
            where resolved_at is null
            group by all
            order by all
            """,
        )


def mart_rows(home: Home) -> dict[str, int]:
    """Rows by published mart."""
    with open_marts(home) as marts:
        names = rows_of(
            marts,
            "select table_name from duckdb_tables() where schema_name = 'marts' order by table_name",
        )
        return {
            table: rows_of(marts, f'select count(*) as n from marts."{table}"')[0]["n"]  # noqa: S608
            for (table,) in (row.values() for row in names)
        }


def bottlenecks(home: Home, day: dt.date | None) -> list[Row]:
    """Where revenue was stuck at the end of the quarter of a day, else of the latest, most of it first.

    Raises `UserError` for a day in no known quarter, and where nothing is published yet.
    """
    with open_marts(home) as marts:
        rows = rows_of(
            marts,
            """
            select *
            from marts.bottlenecks
            where quarter = (
                select max(quarter) from marts.bottlenecks where $day is null or quarter <= $day
            )
            order by rank
            """,
            {"day": day},
        )
        if not rows:
            first = rows_of(marts, "select min(quarter) as day from marts.bottlenecks")[0]["day"]
            if first is None:
                raise UserError(
                    "no lead or opportunity is known: bottlenecks need a CRM. Add one as a source"
                )
            raise UserError(f"--quarter {day}: no quarter is known by then; the first is of {first}")
    return rows


def process_audit(home: Home, day: dt.date | None, team: str | None) -> list[Row]:
    """Where the process broke in the quarter of a day, else in the latest, what is worth most first.

    Raises `UserError` for a team or quarter that is not there, and where nothing is published yet.
    """
    with open_marts(home) as marts:
        _must_be_one_of(marts, "--team", team, "select team from marts.process_audit")
        quarters = rows_of(
            marts,
            "select max(quarter) as quarter, (select min(quarter) from marts.process_audit) as first"
            " from marts.process_audit where $day is null or quarter <= $day",
            {"day": day},
        )[0]
        if quarters["quarter"] is None and quarters["first"] is not None:
            raise UserError(f"--quarter {day}: nothing is known of it; the first is of {quarters['first']}")
        return rows_of(
            marts,
            "select * from marts.process_audit where quarter = $quarter and ($team is null or team = $team)"
            " order by rank",
            {"quarter": quarters["quarter"], "team": team},
        )


def gaps(home: Home, owner: str | None, severity: str | None, resolved: bool) -> list[Row]:
    """The register as of the last run, worst first; open gaps, or with `resolved` all that ever were.

    `reopened` is how often a gap had been resolved before. Raises `UserError` for an unknown team, and before
    the first run.
    """
    if not home.register.exists():
        raise UserError(f"no gaps are known in {home.root} yet. Run `revops run` first")
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        register = f"read_parquet('{_quoted(home.register)}')"
        _must_be_one_of(connection, "--owner", owner, f"select owner_team from {register}")  # noqa: S608
        return rows_of(
            connection,
            f"""
            select * exclude (gap_key), row_number() over lives - 1 as reopened
            from {register}
            window lives as (partition by gap_key order by first_seen_at, gap_id)
            qualify
                ($owner is null or owner_team = $owner)
                and ($severity is null or severity = $severity)
                and ($resolved or resolved_at is null)
            order by
                case severity when 'critical' then 1 when 'high' then 2 else 3 end,
                money_at_risk desc nulls last, gap_type, key_left, key_right
            """,  # noqa: S608
            {"owner": owner, "severity": severity, "resolved": resolved},
        )


def gap_trend(home: Home, owner: str | None, severity: str | None) -> list[Row]:
    """The register week by week, the latest last: what was opened, resolved and is open, by team and silos.

    Raises `UserError` for an unknown team, and where nothing is published yet.
    """
    with open_marts(home) as marts:
        _must_be_one_of(marts, "--owner", owner, "select owner_team from marts.gap_trend")
        return rows_of(
            marts,
            """
            select
                week, owner_team, silo_left, silo_right,
                cast(sum(opened) as bigint) as opened, cast(sum(reopened) as bigint) as reopened,
                cast(sum(resolved) as bigint) as resolved, cast(sum(open) as bigint) as open,
                sum(money_at_risk) as money_at_risk, max(oldest_age_days) as oldest_age_days
            from marts.gap_trend
            where ($owner is null or owner_team = $owner) and ($severity is null or severity = $severity)
            group by all
            having sum(opened) + sum(resolved) + sum(open) > 0
            order by week, money_at_risk desc, owner_team, silo_left, silo_right
            """,
            {"owner": owner, "severity": severity},
        )


def open_warehouse(home: Home) -> duckdb.DuckDBPyConnection:
    """The warehouse, to read. Raises `UserError` where there is none yet, and during a run."""
    if not home.warehouse.exists():
        raise UserError(f"there is no warehouse in {home.root} yet. Run `revops run` first")
    try:
        warehouse = duckdb.connect(str(home.warehouse), read_only=True)
    except duckdb.IOException as exc:
        raise UserError(f"{home.warehouse} is being written to. Ask again when the run is done") from exc
    warehouse.execute("set timezone = 'UTC'")
    return warehouse


def loads(home: Home, source: str) -> dict[str, Any] | None:
    """When a source was last loaded, its rows by table, and how they compare with the source's own counts.

    None if it never was. Raises `UserError` during a run.
    """
    if not home.warehouse.exists():
        return None
    with open_warehouse(home) as warehouse:
        schema = f"raw_{source}"
        tables = [
            row["table_name"]
            for row in rows_of(
                warehouse,
                "select table_name from duckdb_tables() where schema_name = $schema order by table_name",
                {"schema": schema},
            )
        ]
        if "_dlt_loads" not in tables:
            return None
        own = [table for table in tables if not table.startswith("_")]
        rows = {
            table: rows_of(warehouse, f'select count(*) as n from "{schema}"."{table}"')[0]["n"]  # noqa: S608
            for table in own
        }
        counted = _counted(warehouse, schema) if "_counts" in tables else {}
    seen = home.loaded(source)
    last = dt.datetime.fromtimestamp(seen.stat().st_mtime, dt.UTC) if seen.exists() else None
    return {"last_load": last, "rows": rows, "counted": counted}


def _counted(warehouse: duckdb.DuckDBPyConnection, schema: str) -> dict[str, dict[str, int]]:
    """Live rows by table, here and at the source, of the tables that the source counts itself."""
    found = {}
    for row in rows_of(warehouse, f'select * from "{schema}"._counts order by table_name'):  # noqa: S608
        here = rows_of(
            warehouse,
            f'select count(*) as n from "{schema}"."{row["table_name"]}"'  # noqa: S608
            f' where not coalesce(is_deleted, false) and "{row["created_column"]}" < $before',
            {"before": row["created_before"]},
        )
        found[row["table_name"]] = {"here": here[0]["n"], "at_source": row["row_count"]}
    return found


def as_json(rows: Any) -> str:
    """Rows as JSON; decimals as numbers, times as ISO 8601."""
    return json.dumps(rows, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def open_marts(home: Home) -> duckdb.DuckDBPyConnection:
    """The published marts, to read. Raises `UserError` where none are published yet."""
    current = home.marts / "current.duckdb"
    if not current.exists():
        raise UserError(f"no marts are published in {home.marts} yet. Run `revops run` first")
    return duckdb.connect(str(current), read_only=True)


def _must_be_one_of(
    connection: duckdb.DuckDBPyConnection, option: str, given: str | None, query: str
) -> None:
    if given is None:
        return
    known = sorted({row[0] for row in connection.execute(query).fetchall() if row[0]})
    if given not in known:
        raise UserError(f"{option} {given}: there is no such value; there is {', '.join(known) or 'none'}")


def rows_of(
    connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any] | None = None
) -> list[Row]:
    """What a query answers, a dictionary a row."""
    result = connection.execute(query, values or {})
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
