"""What the warehouse's tables hold, as metadata of their assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb

from orchestration import markdown
from orchestration.reading import open_warehouse
from settings.paths import Home

#: Rows of a mart that its asset shows. No mart holds a person's name or address; other tables do.
PREVIEW_ROWS = 5
PREVIEWED = "marts"


def describe(home: Home, nodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each of dbt's models its number of rows, which the UI draws over time, and of marts the first rows.

    A view is not counted, and a table that is not there has no metadata.
    """
    with open_warehouse(home) as warehouse:
        listed = "select schema_name, table_name from duckdb_tables()"
        tables = {*warehouse.execute(listed).fetchall()}
        places = [(node["schema"], node["alias"]) for node in nodes]
        counts = _counts(warehouse, [place for place in places if place in tables])
        return [_metadata(warehouse, place, counts) for place in places]


def _counts(
    warehouse: duckdb.DuckDBPyConnection, tables: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    if not tables:
        return {}
    each = " union all ".join(
        f"select {place}, (select count(*) from {_name(table)})"  # noqa: S608
        for place, table in enumerate(tables)
    )
    return {tables[place]: rows for place, rows in warehouse.execute(each).fetchall()}


def _metadata(
    warehouse: duckdb.DuckDBPyConnection, place: tuple[str, str], counts: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    if place not in counts:
        return {}
    found: dict[str, Any] = {"dagster/row_count": counts[place]}
    if place[0] == PREVIEWED:
        rows = warehouse.execute(f"from {_name(place)} limit {PREVIEW_ROWS}")
        names = [column[0] for column in rows.description or []]
        found["first rows"] = dg.MetadataValue.md(markdown.table(names, rows.fetchall()))
    return found


def _name(place: tuple[str, str]) -> str:
    return ".".join(f'"{part}"' for part in place)
