"""Files: any export, mapped to the silo contract by a mapping file (`ingestion.mapping`).

Objects: CSV, JSON lines, Parquet and Excel files, globs and gzip too, as raw tables named and typed like the
contract tables of the source's silo. A value that an expression cannot convert is NULL, its row is kept, and
it is listed in the table `_unparsed`.

Changes: files are read when one of them, or the mapping, has changed; only rows that differ are written,
merged on the contract's keys.

Deletes: a row that is gone from the files is marked deleted. When more than a fifth of a table is gone the
load is refused, unless the mapping says `allow_shrink = true`.

Limits: a file that is cut off, or written to while it is read, is refused and named.

Permissions: to read the files.

Secrets: none.

Left out: formulas, merged cells and formats of spreadsheets: their values are read.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from datetime import datetime
from difflib import get_close_matches
from functools import partial

import duckdb
import pyarrow as pa
from dlt.extract import DltSource

from ingestion import changes
from ingestion.arrow import TYPES
from ingestion.contract import FILLED_IN, ContractTable, contract
from ingestion.core import SHRINK_FREE_ROWS, SHRINK_LIMIT, Batches, Feed, State, TableSpec, make_source
from ingestion.files_reader import damage, literal, open_files, short, stamp
from ingestion.mapping import FileMapping, TableMapping, identifier, read_mapping, suggest
from settings.config import SourceConfig
from settings.errors import UserError

log = logging.getLogger(__name__)

UNPARSED = "_unparsed"
_UNPARSED_SPEC = TableSpec(
    "Rows with a value that the mapping could not convert",
    ("table_name", "column_name", "row_key"),
    {
        "table_name": "text",
        "column_name": "text",
        "row_key": "text",
        "raw_row": "json",
        "error": "text",
        "is_deleted": "bool",
    },
)
_ROW = "__revops_row"
_KINDS = {
    "VARCHAR": "text",
    "BOOLEAN": "bool",
    "DATE": "date",
    "DOUBLE": "double",
    "FLOAT": "double",
    "BIGINT": "bigint",
    "INTEGER": "bigint",
    "SMALLINT": "bigint",
    "TIMESTAMP": "timestamp",
    "TIMESTAMPTZ": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}
_LENIENT = re.compile(r"\btry_(cast|strptime)\b", re.IGNORECASE)
_ARROW_UNPARSED = pa.schema([(name, TYPES[kind]) for name, kind in _UNPARSED_SPEC.columns.items()])


def tables(config: SourceConfig) -> dict[str, TableSpec]:
    """The raw tables of this mapping."""
    return _specs(config, read_mapping(config))


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """The dlt source; files are read as its tables are extracted."""
    mapping = read_mapping(config)
    specs = _specs(config, mapping)
    load = _Load(mapping, specs)
    feeds: dict[str, Feed] = {name: partial(load.table, name) for name in mapping.tables}
    return make_source(config, specs, {**feeds, UNPARSED: load.unparsed})


def check(config: SourceConfig) -> None:
    """Files are there and can be read, and every expression fits them; no row is converted."""
    mapping = read_mapping(config)
    _specs(config, mapping)
    with open_files(mapping) as connection:
        for table in mapping.tables.values():
            _bind(connection, mapping, table, _describe(connection, mapping, table))


def _specs(config: SourceConfig, mapping: FileMapping) -> dict[str, TableSpec]:
    known = contract()[config.silo]
    specs: dict[str, TableSpec] = {}
    for name, table in mapping.tables.items():
        if name not in known:
            raise UserError(
                f"mapping {mapping.path}: [tables.{name}] is not a table of silo {config.silo!r}"
                f"{suggest(name, known)}"
            )
        specs[name] = _spec(mapping, table, known[name])
    return specs | {UNPARSED: _UNPARSED_SPEC}


def _spec(mapping: FileMapping, table: TableMapping, known: ContractTable) -> TableSpec:
    where = f"mapping {mapping.path}: [tables.{table.name}.columns]"
    columns = {c: _kind(t) for c, t in known.columns.items() if c not in FILLED_IN}
    for key in known.primary_key:
        if key not in table.columns:
            raise UserError(f'{where}: the key {key!r} is missing. Add {key} = "<expression>"')
    for column in table.columns.keys() - columns.keys():
        if column in FILLED_IN:
            raise UserError(f"{where}: {column!r} is filled in by the pipeline; remove it")
        unused = [c for c in columns if c not in table.columns]
        if get_close_matches(column, unused, cutoff=0.8):
            hint = suggest(column, unused, 0.8)
            raise UserError(f"{where}: {column!r} is not a column of {table.name}{hint}")
    extra = {c: "text" for c in table.columns if c not in columns}
    description = f"{table.name.replace('_', ' ')} from {table.origin}"
    return TableSpec(
        description, known.primary_key, {**columns, **extra, "is_deleted": "bool"}, is_unique=True
    )


def _kind(duckdb_type: str) -> str:
    name = duckdb_type.upper().strip()
    return "decimal" if name.startswith(("DECIMAL", "NUMERIC")) else _KINDS.get(name, "text")


class _Load:
    """One load of one mapping; `_unparsed` comes last, with what the other tables could not convert."""

    def __init__(self, mapping: FileMapping, specs: dict[str, TableSpec]) -> None:
        self.mapping = mapping
        self.specs = specs
        self.found: list[pa.Table] = []
        self.files = stamp(mapping)

    def table(self, name: str, state: State) -> Batches:
        """The rows of one table, then those gone from the files; nothing if neither it nor a file changed."""
        if self._is_unchanged(name, state):
            return
        with open_files(self.mapping) as connection:
            rows, unparsed = evaluate(connection, self.mapping, self.mapping.tables[name], self.specs[name])
        self._refuse_moving_files()
        if unparsed.num_rows:
            log.warning(
                "mapping %s: %d value(s) of table %s could not be converted; see %s",
                self.mapping.path,
                unparsed.num_rows,
                name,
                UNPARSED,
            )
        self.found.append(unparsed)
        yield rows
        yield from _gone(name, self.specs[name], rows, self.mapping)

    def _is_unchanged(self, name: str, state: State) -> bool:
        """Whether files, mapping and columns are those of the last load; remembers how they are now."""
        seen = repr((self.files, self.mapping, self.specs))
        now = hashlib.sha256(seen.encode()).hexdigest()
        is_same = state.get("read") == now and changes.exists(name) and changes.backfill() is None
        state["read"] = now
        return is_same

    def _refuse_moving_files(self) -> None:
        """Refuse a file that somebody is still writing."""
        for before, after in zip(self.files, stamp(self.mapping), strict=True):
            if before != after:
                raise UserError(
                    f"mapping {self.mapping.path}: {before[0]} was written to while it was read. Nothing was "
                    "loaded; run again when the export is done"
                )

    def unparsed(self, state: State) -> Batches:
        """What could not be converted, then what can be by now."""
        if self._is_unchanged(UNPARSED, state):
            return
        rows = pa.concat_tables([_ARROW_UNPARSED.empty_table(), *self.found])
        yield rows
        yield from _gone(UNPARSED, _UNPARSED_SPEC, rows, None)


def _gone(name: str, spec: TableSpec, rows: pa.Table, mapping: FileMapping | None) -> Batches:
    """Rows of the warehouse that the files no longer have, marked deleted."""
    keys = rows.select(list(spec.primary_key))
    lost, live = changes.gone(name, spec.primary_key, list(spec.columns), keys)
    if lost is None or lost.num_rows == 0:
        return
    shrunk = lost.num_rows > SHRINK_FREE_ROWS and rows.num_rows < (1 - SHRINK_LIMIT) * live
    allowed = mapping is None or mapping.allow_shrink or os.environ.get("REVOPS_ALLOW_SHRINK") == "1"
    if shrunk and mapping is not None and not allowed:
        raise UserError(
            f"mapping {mapping.path}: table {name!r} had {live} rows and {mapping.tables[name].origin} gives "
            f"{rows.num_rows}, which looks like a truncated export. Nothing was loaded. Export it again, or "
            "write allow_shrink = true at the top of the mapping if the rows are really gone"
        )
    yield changes.marked_deleted(lost)


def evaluate(
    connection: duckdb.DuckDBPyConnection, mapping: FileMapping, table: TableMapping, spec: TableSpec
) -> tuple[pa.Table, pa.Table]:
    """The mapped rows, and one row per value that could not be converted."""
    given = _describe(connection, mapping, table)
    _bind(connection, mapping, table, given)
    where = f"mapping {mapping.path}: [tables.{table.name}]"
    casts = {column: _typed(expression, spec.columns[column]) for column, expression in table.columns.items()}
    strict = {column: _LENIENT.sub(r"\1", sql) for column, sql in casts.items()}
    unparsed = [_ARROW_UNPARSED.empty_table()]
    try:
        rows = _select(connection, strict, spec, f"(\n{table.query}\n) given")
    except duckdb.Error:
        # Something does not convert, or cannot be read: once more, row by row.
        _keep_rows(connection, mapping, where, table)
        values, bad = _tolerant(connection, where, casts, strict)
        rows = _select(connection, values, spec, f"base order by {_ROW}")
        for column, is_bad in bad.items():
            unparsed.append(_unparsed_rows(connection, table, column, is_bad, casts, spec, given))
    _check_keys(connection, where, table, spec, rows)
    return rows, pa.concat_tables(unparsed)


def _keep_rows(
    connection: duckdb.DuckDBPyConnection, mapping: FileMapping, where: str, table: TableMapping
) -> None:
    """The rows as they come, numbered, as the temporary table `base`."""
    try:
        connection.execute(
            f"create or replace temp table base as select row_number() over () as {_ROW}, "  # noqa: S608
            f"given.* from (\n{table.query}\n) given"
        )
    except duckdb.Error as exc:
        raise UserError(f"{where}: {table.origin} cannot be read: {damage(mapping, exc)}") from exc


def _typed(expression: str, kind: str) -> str:
    names = {"text": "varchar", "timestamp": "timestamptz", "decimal": "decimal(38, 9)", "bool": "boolean"}
    return f"cast((\n{expression}\n) as {names.get(kind, kind)})"


def _select(
    connection: duckdb.DuckDBPyConnection, values: dict[str, str], spec: TableSpec, rows: str
) -> pa.Table:
    """All columns of the table, in its order, from `rows`; NULL where the mapping has none."""
    listed = []
    for column, kind in spec.columns.items():
        value = values.get(column, _typed("null", kind))
        if column == "is_deleted":
            value = f"coalesce({value}, false)"
        listed.append(f"{value} as {identifier(column)}")
    return connection.execute(f"select {', '.join(listed)} from {rows}").to_arrow_table()  # noqa: S608


def _tolerant(
    connection: duckdb.DuckDBPyConnection, where: str, casts: dict[str, str], strict: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Expressions that give NULL where they fail; per failing column, the condition for its bad rows.

    A row is bad when the value is NULL and its strict evaluation raises, so that an ordinary NULL is not
    taken for a failure, and one that try_cast swallowed is not lost.
    """
    # With these, DuckDB would take a shared expression out of its try(), which then no longer guards it.
    connection.execute("set disabled_optimizers = 'common_subexpressions, expression_rewriter'")
    values, bad = dict(casts), {}
    for column, sql in strict.items():
        try:
            connection.execute(f"select count(v) from (select {sql} as v from base)").fetchall()  # noqa: S608
        except duckdb.Error as failure:
            values[column] = f"try({casts[column]})"
            bad[column] = f"try({casts[column]}) is null and try(({sql}) is null) is null"
            try:
                connection.execute(f"select count(*) from base where {bad[column]}").fetchall()  # noqa: S608
            except duckdb.Error:
                message = f"{where}: column {column!r} cannot be evaluated: {short(failure)}"
                raise UserError(message) from failure
    return values, bad


def _unparsed_rows(
    connection: duckdb.DuckDBPyConnection,
    table: TableMapping,
    column: str,
    is_bad: str,
    casts: dict[str, str],
    spec: TableSpec,
    given: list[str],
) -> pa.Table:
    keys = ", ".join(f"try({casts[key]})" for key in spec.primary_key)
    fields = ", ".join(f"{literal(name)}, {identifier(name)}" for name in given)
    error = f"{' '.join(table.columns[column].split())} gives no {spec.columns[column]}"
    query = f"""
        select {literal(table.name)} as table_name, {literal(column)} as column_name,
            concat_ws('|', {keys}) as row_key, cast(json_object({fields}) as varchar) as raw_row,
            {literal(error)} as error, false as is_deleted
        from base where {is_bad} order by {_ROW}"""  # noqa: S608
    return connection.execute(query).to_arrow_table().cast(_ARROW_UNPARSED)


def _check_keys(
    connection: duckdb.DuckDBPyConnection, where: str, table: TableMapping, spec: TableSpec, rows: pa.Table
) -> None:
    keys = [identifier(key) for key in spec.primary_key]
    listed = ", ".join(keys)
    connection.register("mapped", rows)
    for name, key in zip(spec.primary_key, keys, strict=True):
        numbered = f"select row_number() over () as n, {key} as k from mapped"  # noqa: S608
        query = f"select count(*), min(n) from ({numbered}) where k is null"  # noqa: S608
        count, first = connection.execute(query).fetchone() or (0, 0)
        if count:
            raise UserError(
                f"{where}: {count} row(s) of {table.origin} have no {name!r}, the first is row {first}. A "
                f"key must have a value: correct {name} = {table.columns[name]!r}, or filter them by a query"
            )
    query = f"select concat_ws(', ', {listed}), count(*) from mapped group by {listed}"  # noqa: S608
    double = connection.execute(f"{query} having count(*) > 1 order by 2 desc, 1").fetchall()
    connection.unregister("mapped")
    if double:
        raise UserError(
            f"{where}: {len(double)} key(s) ({', '.join(spec.primary_key)}) occur more than once in "
            f"{table.origin}, such as {double[0][0]!r} ({double[0][1]} rows). Correct the export, or make "
            "the rows one with a query"
        )


def _describe(connection: duckdb.DuckDBPyConnection, mapping: FileMapping, table: TableMapping) -> list[str]:
    """The columns that the table's expressions may name."""
    try:
        return [row[0] for row in connection.execute(f"describe {table.query}").fetchall()]
    except duckdb.Error as exc:
        raise UserError(
            f"mapping {mapping.path}: [tables.{table.name}] query: {short(exc)} "
            f"[files] has {', '.join(sorted(mapping.files))}"
        ) from exc


def _bind(
    connection: duckdb.DuckDBPyConnection, mapping: FileMapping, table: TableMapping, given: list[str]
) -> None:
    """Refuse expressions that name a column the files lack, or that are not SQL."""
    for column, expression in table.columns.items():
        where = f"mapping {mapping.path}: [tables.{table.name}.columns] {column} = {expression!r}"
        try:
            connection.execute(f"describe select (\n{expression}\n) as v from (\n{table.query}\n) given")  # noqa: S608
        except duckdb.Error as exc:
            missing = re.search(r'Referenced column "([^"]+)" not found|column "([^"]+)" not found', str(exc))
            if missing is None:
                raise UserError(f"{where} is not valid: {short(exc)}") from exc
            name = missing.group(1) or missing.group(2)
            raise UserError(f"{where}: {table.origin} has no column {name!r}{suggest(name, given)}") from exc
