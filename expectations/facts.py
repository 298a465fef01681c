"""What the gates' SQL reads: the run's parameters and the figures of dbt's models, as temporary views.

Only `sql/facts.sql` knows the names of identity and core models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from expectations import contract_rules
from expectations.catalogue import SQL
from expectations.erased import Erased, find

if TYPE_CHECKING:
    from expectations.duckdb_engine import Session


@dataclass(frozen=True)
class Source:
    """A configured source, as far as the gates care."""

    name: str
    silo: str
    is_files: bool
    max_age_days: int | None


def prepare(
    session: Session, sources: Sequence[Source], as_of: datetime, currency: str, erased: Erased
) -> None:
    """Create the parameters and views, for this session only."""
    session.run("create temp table gate_run (as_of timestamptz, currency text)")
    session.run("insert into gate_run values ($as_of, $currency)", {"as_of": as_of, "currency": currency})
    session.run(
        "create temp table gate_sources (source text, silo text, is_files boolean, max_age_days integer)"
    )
    for source in sources:
        session.run("insert into gate_sources values ($name, $silo, $is_files, $max_age_days)", vars(source))
    find(session, erased, {source.name: source.silo for source in sources})
    unparsed = [(source.name, source.silo) for source in sources if _has(session, source, "_unparsed")]
    session.run("create temp view gate_records as " + contract_rules.records())
    session.run("create temp view gate_record_days as " + contract_rules.record_days())
    session.run("create temp view gate_missing_parents as " + contract_rules.missing_parents())
    session.run("create temp view gate_strange_values as " + contract_rules.strange_values())
    session.run("create temp view gate_dates as " + contract_rules.impossible_dates())
    session.run("create temp view gate_daily_rows as " + contract_rules.daily_rows())
    session.run("create temp view gate_counts as " + contract_rules.counted(_counts(session, sources)))
    session.run("create temp view gate_unparsed as " + contract_rules.unparsed(unparsed))
    for statement in (SQL / "facts.sql").read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            session.run(statement)


def _counts(session: Session, sources: Sequence[Source]) -> list[dict[str, Any]]:
    """What the sources that can count said of their tables."""
    columns = ("table_name", "row_count", "created_column", "created_before")
    return [
        {"source": source.name, "silo": source.silo, **dict(zip(columns, row, strict=True))}
        for source in sources
        if _has(session, source, "_counts")
        for row in session.rows(f'select {", ".join(columns)} from "raw_{source.name}"._counts')  # noqa: S608
    ]


def _has(session: Session, source: Source, table: str) -> bool:
    """Whether a source's raw tables include one that not all have."""
    return bool(
        session.rows(
            "select 1 from information_schema.tables where table_catalog = current_database()"
            " and table_schema = $schema and table_name = $table",
            {"schema": f"raw_{source.name}", "table": table},
        )
    )
