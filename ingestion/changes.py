"""Only what changed: cursors with a lag window, and rows the warehouse already holds left out.

Every raw row carries `_hash`, a hash of its content. A row whose key and hash are already in the
warehouse is dropped before it is loaded, so a lag window, a full list or an archived sweep may be read
again at no cost, and a rerun without changes loads nothing. Comparing with the warehouse, rather than with
remembered hashes, means the two can never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.arrow import read


@dataclass(frozen=True)
class _Held:
    """The warehouse compared with."""

    connection: duckdb.DuckDBPyConnection
    dataset: str
    columns: dict[str, frozenset[str]]  # of every table
    frozen: frozenset[str]

    def name(self, table: str) -> str:
        return f'"{self.dataset}"."{table}"'


@dataclass(frozen=True)
class Backfill:
    """What a load reads again: everything since an instant, of one raw table or of all of them.

    With `until`, nothing that changed then or later is read of these tables, and their cursors stay as they
    are. With `is_exact`, it is that table (and its parts) alone that changes, and of it only what happened in
    between; all else stays as it is, whatever is read on the way.
    """

    since: datetime
    table: str | None = None
    until: datetime | None = None
    is_exact: bool = False


_held: ContextVar[_Held] = ContextVar("held")
_backfill: ContextVar[Backfill | None] = ContextVar("backfill", default=None)
_table: ContextVar[str] = ContextVar("table")


def cursor_start(
    state: dict[str, Any], lag_minutes: int, name: str = "cursor", for_all: bool = False
) -> datetime | None:
    """Where to read on from: the newest moment seen, minus the lag window, or where a backfill begins.

    None on a first load. With `for_all` the cursor serves every table, and so the backfill of any.
    """
    return cursor_range(state, lag_minutes, name, for_all)[0]


def cursor_range(
    state: dict[str, Any], lag_minutes: int, name: str = "cursor", for_all: bool = False
) -> tuple[datetime | None, datetime | None]:
    """As `cursor_start`, and where to stop: None but for a backfill that has an end."""
    seen = state.get(name)
    if seen is None:
        return None, None
    start = datetime.fromisoformat(seen) - timedelta(minutes=lag_minutes)
    asked = backfill(for_all)
    if asked is None:
        return start, None
    return (asked.since if asked.until else min(start, asked.since)), asked.until


def backfill(for_all: bool = False) -> Backfill | None:
    """The backfill under way, if the table being read (`for_all`: any table) is part of it."""
    asked = _backfill.get()
    return asked if asked is not None and (for_all or asked.table in (None, _table.get())) else None


def exact() -> Backfill | None:
    """The backfill under way if it is an exact one."""
    asked = _backfill.get()
    return asked if asked is not None and asked.is_exact else None


def ends(for_all: bool = False) -> bool:
    """Whether the backfill under way has an end; a table that is not there yet is loaded whole."""
    asked = backfill(for_all)
    return asked is not None and asked.until is not None and exists(_table.get())


def reading(table: str) -> None:
    """From now on it is this table's feed that runs."""
    _table.set(table)


def advance_cursor(
    state: dict[str, Any],
    moments: Iterable[datetime | str | None] | pa.ChunkedArray,
    name: str = "cursor",
    for_all: bool = False,
) -> None:
    """Remember the newest of `moments`; the cursor never moves back.

    It stands still in a frozen table's feed, and in a backfill with an end.
    """
    if is_frozen(_table.get()) or ends(for_all):
        return
    seen = state.get(name)
    typed = moments if isinstance(moments, pa.ChunkedArray) else read("timestamp", list(moments))
    newest = pc.max(typed).as_py()
    if newest is not None and (seen is None or newest > datetime.fromisoformat(seen)):
        state[name] = newest.isoformat()


def known_keys(table: str, column: str, where: str = "true") -> set[str]:
    """Values of one column the warehouse already holds, e.g. ids to sweep. Empty before the first load."""
    if not exists(table):
        return set()
    held = _held.get()
    query = f'select distinct "{column}" from {held.name(table)} where {where}'  # noqa: S608
    return {str(row[0]) for row in held.connection.execute(query).fetchall()}


def known_rows(table: str, columns: Iterable[str], where: str = "true") -> list[dict[str, Any]]:
    """Some columns of the rows the warehouse already holds. None before the first load."""
    if not exists(table):
        return []
    held = _held.get()
    listed = ", ".join(f'"{column}"' for column in columns)
    found = held.connection.execute(f"select distinct {listed} from {held.name(table)} where {where}")  # noqa: S608
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def with_hash(rows: pa.Table) -> pa.Table:
    """The rows with `_hash`, a hash of all their columns."""
    with _given(rows) as connection:
        hashes = connection.execute("select (hash(given) >> 1)::bigint as _hash from given").to_arrow_table()
    return rows.append_column("_hash", hashes["_hash"])


def drop_unchanged(table: str, keys: tuple[str, ...], rows: pa.Table) -> pa.Table:
    """Hashed rows without those the warehouse holds identically."""
    if rows.num_rows == 0 or "_hash" not in _held.get().columns.get(table, ()):
        return rows
    same = " and ".join(f'given."{key}" = held."{key}"' for key in keys)
    query = f"""
        select given.* from given
        anti join {_held.get().name(table)} held on {same} and given._hash = held._hash
    """  # noqa: S608
    with _given(rows) as connection:
        return connection.execute(query).to_arrow_table().cast(rows.schema)


def gone(
    table: str, keys: tuple[str, ...], columns: list[str], seen: pa.Table
) -> tuple[pa.Table | None, int]:
    """Live rows of the warehouse whose keys are not among `seen`, and how many live rows there are.

    A column that the warehouse does not have yet is NULL.
    """
    if not exists(table):
        return None, 0
    same = " and ".join(f'given."{key}" = held."{key}"' for key in keys)
    present = [column for column in columns if column in _held.get().columns[table]]
    listed = ", ".join(f'held."{column}"' for column in present)
    name, live = _held.get().name(table), "not coalesce(held.is_deleted, false)"
    query = f"select {listed} from {name} held anti join given on {same} where {live}"  # noqa: S608
    with _given(seen) as connection:
        lost = connection.execute(query).to_arrow_table()
        total = connection.execute(f"select count(*) from {name} held where {live}").fetchone()  # noqa: S608
    for place, column in enumerate(columns):
        if column not in present:
            lost = lost.add_column(place, column, pa.nulls(lost.num_rows))
    return lost, total[0] if total else 0


def held(table: str, key: str, columns: list[str], values: Iterable[str]) -> pa.Table:
    """Live rows of the warehouse whose `key` is among `values`; a column it does not have yet is NULL."""
    wanted = set(values)
    kept = known_keys(table, key) - wanted
    rows, _ = gone(table, (key,), columns, pa.table({key: pa.array(sorted(kept), pa.string())}))
    return pa.table({column: pa.nulls(0) for column in columns}) if rows is None else rows


def marked_deleted(rows: pa.Table) -> pa.Table:
    """The rows with `is_deleted` true."""
    place = rows.column_names.index("is_deleted")
    return rows.set_column(place, "is_deleted", pa.array([True] * rows.num_rows, pa.bool_()))


def exists(table: str) -> bool:
    """Whether the warehouse has the table."""
    return table in _held.get().columns


def is_frozen(table: str) -> bool:
    """Whether the table stays as it is in this load."""
    return table in _held.get().frozen


def is_any_frozen() -> bool:
    """Whether some table stays as it is in this load, and so every cursor where it was."""
    return bool(_held.get().frozen)


@contextmanager
def comparing(
    warehouse: Path, dataset: str, again: Backfill | None = None, frozen: frozenset[str] = frozenset()
) -> Iterator[None]:
    """While it lasts, the functions above compare with this dataset of the warehouse.

    With `again`, its part of the source is read once more. `frozen` are tables that stay as they are.
    """
    connection = duckdb.connect(str(warehouse) if warehouse.exists() else ":memory:")
    try:
        connection.execute("set timezone = 'UTC'")
        listed = (
            "select table_name, list(column_name) from duckdb_columns() where schema_name = ? group by all"
        )
        found = connection.execute(listed, [dataset]).fetchall()
        columns = {table: frozenset(names) for table, names in found}
        token, asked = _held.set(_Held(connection, dataset, columns, frozen)), _backfill.set(again)
        try:
            yield
        finally:
            _held.reset(token)
            _backfill.reset(asked)
    finally:
        connection.close()


@contextmanager
def _given(rows: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse's connection with the rows as a view `given`."""
    connection = _held.get().connection
    connection.register("given", rows)
    try:
        yield connection
    finally:
        connection.unregister("given")
