"""What a KPI's figure is made of: its definition, the records behind it, and what changed.

Reads the warehouse of this machine, which may be ahead of what is published while a gate holds it back.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import duckdb

from orchestration.explain_change import contributions
from orchestration.reading import Row, open_warehouse, rows_of
from settings.errors import UserError
from settings.paths import Home

ALL = ("all", "all")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def explain(home: Home, kpi: str, period: str, segment: str | None, fiscal_year_start: int) -> Row:
    """One figure of `kpi_values`: `records` add up to its numerator and denominator, and the contributions of
    each segment in `segments` to its `change` since `previous`, the period before.

    `period` is 2026-07, 2026-Q3, 2026 or all (fiscal quarters and years, named by the year they begin in),
    `segment` such as team=EMEA. A KPI made of others has no records; `parts` are those others. Raises
    `UserError` for what is not there, naming what is, where there is no warehouse yet, and during a run.
    """
    with open_warehouse(home) as connection:
        if not connection.execute(
            "select count(*) = 2 from information_schema.tables where (table_schema, table_name) in"
            " (('core', 'kpi_records'), ('marts', 'kpi_values'))"
        ).fetchall()[0][0]:
            raise UserError(f"no KPI is built in {home.warehouse} yet. Run `revops run` first")
        definition = _definition(connection, kpi)
        named, value = _segment(connection, kpi, segment)
        length, start = _period(period, fiscal_year_start)
        figure = _figure(connection, kpi, length, start, named, value)
        if figure is None:
            raise UserError(_not_there(connection, kpi, period, segment, named, value, fiscal_year_start))
        before = _before(length, start) if start else None
        previous = _figure(connection, kpi, length, before, named, value) if before else None
        answer = {
            **definition,
            **figure,
            "period_name": period_name(length, figure["period_start"], fiscal_year_start),
            "previous": previous,
            "change": _change(figure, previous),
        }
        if definition["made_of"]:
            parts = definition["made_of"].split(", ")
            return answer | {
                "parts": [
                    {
                        "kpi": part,
                        "value": _value(_figure(connection, part, length, start, named, value)),
                        "previous": before
                        and _value(_figure(connection, part, length, before, named, value)),
                    }
                    for part in parts
                ],
                "records": None,
                "segments": None,
            }
        records = _records(connection, kpi, length, figure["period_start"], named, value)
        by_segment = None
        if answer["change"] is not None:
            earlier = _records(connection, kpi, length, before, named, value)
            by_segment = contributions(answer, earlier, records)
    return answer | {"parts": [], "segments": by_segment, "records": records}


def period_name(length: str, start: dt.date, fiscal_year_start: int) -> str:
    """A period as a user writes it: 2026-07, 2026-Q3, 2026 or all."""
    if length == "month":
        return f"{start:%Y-%m}"
    if length == "all":
        return "all"
    months = start.year * 12 + start.month - fiscal_year_start
    year = str(months // 12)
    return f"{year}-Q{months % 12 // 3 + 1}" if length == "quarter" else year


def _period(period: str, fiscal_year_start: int) -> tuple[str, dt.date | None]:
    """Length and first day; of `all`, whose first day is the company's own, none."""
    if period == "all":
        return "all", None
    match = re.fullmatch(r"(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?", period)
    if match is None or not 1 <= int(match[1]) <= 9998:
        raise UserError(
            f"--period {period}: no period. Write a month as 2026-07, a quarter as 2026-Q3,"
            " a year as 2026, or all"
        )
    year = int(match[1])
    if match[3]:
        return "month", dt.date(year, int(match[3]), 1)
    first = dt.date(year, fiscal_year_start, 1)
    return ("quarter", _later(first, 3 * (int(match[2]) - 1))) if match[2] else ("year", first)


def _later(day: dt.date, months: int) -> dt.date:
    count = day.year * 12 + day.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def _before(length: str, start: dt.date) -> dt.date:
    return _later(start, -_MONTHS[length])


def _definition(connection: duckdb.DuckDBPyConnection, kpi: str) -> Row:
    found = rows_of(
        connection,
        "select kpi, formula, better, owner_team, policies, made_of, records as counts"
        " from marts.kpi_definitions where kpi = $kpi and kpi in (select kpi from marts.kpi_values)",
        {"kpi": kpi},
    )
    if not found:
        known = rows_of(
            connection,
            "select kpi from marts.kpi_definitions semi join marts.kpi_values using (kpi) order by position",
        )
        listed = ", ".join(row["kpi"] for row in known) or "none"
        raise UserError(f"{kpi}: there is no such KPI; there is {listed}")
    return found[0]


def _segment(connection: duckdb.DuckDBPyConnection, kpi: str, asked: str | None) -> tuple[str, str]:
    if asked is None:
        return ALL
    named, equals, value = asked.partition("=")
    known: dict[str, list[str]] = {}
    for row in rows_of(
        connection,
        "select distinct segment, segment_value from marts.kpi_values"
        " where kpi = $kpi and segment <> 'all' order by all",
        {"kpi": kpi},
    ):
        known.setdefault(row["segment"], []).append(row["segment_value"])
    if not known:
        raise UserError(f"--segment {asked}: {kpi} is known of the whole company only. Leave the option out")
    if named not in known:
        raise UserError(f"--segment {asked}: {kpi} has no such segment; there is {', '.join(known)}")
    if not equals or value not in known[named]:
        listed = ", ".join(f"{named}={one}" for one in known[named])
        raise UserError(f"--segment {asked}: there is no such value; there is {listed}")
    return named, value


def _figure(
    connection: duckdb.DuckDBPyConnection,
    kpi: str,
    length: str,
    start: dt.date | None,
    segment: str,
    segment_value: str,
) -> Row | None:
    found = rows_of(
        connection,
        """
        select * exclude (kpi)
        from marts.kpi_values
        where
            kpi = $kpi
            and period = $period
            and (period = 'all' or period_start = $start)
            and segment = $segment
            and segment_value = $segment_value
        """,
        {
            "kpi": kpi,
            "period": length,
            "start": start,
            "segment": segment,
            "segment_value": segment_value,
        },
    )
    return found[0] if found else None


def _not_there(
    connection: duckdb.DuckDBPyConnection,
    kpi: str,
    period: str,
    asked: str | None,
    segment: str,
    value: str,
    fiscal_year_start: int,
) -> str:
    """That a KPI has no such period, and which it has."""
    found = rows_of(
        connection,
        "select period, period_start from marts.kpi_values"
        " where kpi = $kpi and segment = $segment and segment_value = $value order by period, period_start",
        {"kpi": kpi, "segment": segment, "value": value},
    )
    names = [period_name(row["period"], row["period_start"], fiscal_year_start) for row in found]
    of = f" of {asked}" if asked else ""
    return f"--period {period}: {kpi}{of} has no such period; there is {', '.join(names)}"


def _records(
    connection: duckdb.DuckDBPyConnection,
    kpi: str,
    length: str,
    start: dt.date | None,
    segment: str,
    segment_value: str,
) -> list[Row]:
    """The records of one figure, those that weigh most first."""
    return rows_of(
        connection,
        """
        select
            records.record_type,
            records.source,
            records.record_id,
            records.account,
            accounts.name,
            records.happened_on,
            records.segments,
            records.numerator,
            records.denominator
        from core.kpi_records as records
        left join identity.accounts as accounts using (account)
        where
            records.kpi = $kpi
            and records.period = $period
            and records.period_start = $start
            and ($segment = 'all' or records.segments[$segment] = $segment_value)
        order by
            abs(records.numerator) desc, abs(records.denominator) desc, records.happened_on, records.source,
            records.record_id
        """,
        {"kpi": kpi, "period": length, "start": start, "segment": segment, "segment_value": segment_value},
    )


def _value(figure: Row | None) -> Any:
    return figure and figure["value"]


def _change(figure: Row, previous: Row | None) -> Decimal | None:
    """The value's change; none where either period has no value."""
    if previous is None or figure["value"] is None or previous["value"] is None:
        return None
    return Decimal(figure["value"] - previous["value"])
