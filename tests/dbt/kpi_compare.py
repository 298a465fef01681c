"""The published KPIs against the ledger's: pure functions, for tests that have both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Protocol

import duckdb

from sandbox.ledger.kpis import KpiRow

Key = tuple[str, str, date, str, str]
Figures = tuple[Decimal | None, Decimal | None, Decimal | None]

_PUBLISHED = """
select kpi, period, period_start, segment, segment_value, numerator, denominator, value
from marts.kpi_values
where segment_value <> '(none)'"""


class HasKpis(Protocol):
    """A ledger of the truth, as far as KPIs go."""

    def kpis(self) -> list[KpiRow]:
        """Rows by KPI, period and segment."""
        ...


def published(connection: duckdb.DuckDBPyConnection) -> dict[Key, Figures]:
    """Numerator, denominator and value of every published row of the whole company and of its segments."""
    return {row[:5]: row[5:] for row in connection.execute(_PUBLISHED).fetchall()}


def expected(rows: Iterable[KpiRow]) -> dict[Key, Figures]:
    """The same of the ledger's rows."""
    return {
        (row.kpi, row.period, row.period_start, row.segment, row.segment_value): (
            row.numerator,
            row.denominator,
            row.value,
        )
        for row in rows
    }


def differences(connection: duckdb.DuckDBPyConnection, ledger: HasKpis) -> list[str]:
    """What the marts publish otherwise than the ledger; KPIs and segments it does not keep are none."""
    return list(_differences(published(connection), expected(ledger.kpis())))


def _differences(found: dict[Key, Figures], truth: dict[Key, Figures]) -> Iterator[str]:
    kept = {(key[0], key[3]) for key in truth}
    for key in sorted(truth.keys() | {key for key in found if (key[0], key[3]) in kept}):
        name = " ".join(str(part) for part in key)
        if key not in found:
            yield f"{name}: not published, ledger has {truth[key]}"
        elif key not in truth:
            yield f"{name}: not in the ledger, published {found[key]}"
        elif found[key] != truth[key]:
            yield f"{name}: published {found[key]}, ledger has {truth[key]}"
