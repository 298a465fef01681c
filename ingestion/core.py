"""How every source is loaded: typed, only what changed, all or nothing.

A vendor module declares its raw tables (`TableSpec`) and a feed per table, and joins them with `make_source`.
`load_source` runs them. The warehouse is the only truth: cursors are restored from it before each load, so a
crash, a failed load or a deleted warehouse can never leave a cursor ahead of its data.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.schema.exceptions import DataValidationError
from dlt.common.schema.typing import TSchemaContractDict
from dlt.extract import DltResource, DltSource

from ingestion import changes, writing
from ingestion.arrow import TYPES, TypeFlipError, to_arrow
from ingestion.custom import with_custom_columns
from ingestion.http import chain, explain, placed
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home
from settings.vendors import FILES

#: What a feed gets: its table's remembered state, a dict it may change (kept only if the load succeeds).
State = dict[str, Any]
#: Batches of rows: lists of dicts, or for what is large Arrow tables.
Batches = Iterable[list[dict[str, Any]] | pa.Table]
Feed = Callable[[State], Batches]

CONTRACT: TSchemaContractDict = {"tables": "evolve", "columns": "evolve", "data_type": "freeze"}

#: A complete table may lose this share of its rows in one load; more looks like a truncated answer.
SHRINK_LIMIT = 0.2
SHRINK_FREE_ROWS = 20


@dataclass(frozen=True)
class TableSpec:
    """A raw table: what it holds, its key, its columns (name -> dlt data type).

    `ignored`: fields known and not wanted, so not announced. `complete`: every load delivers all rows, so a
    row that is missing now is marked `is_deleted` (the table must declare that column). `newest_by`: the
    column that decides which of several rows with one key in the same load is kept (the greatest).
    `is_unique`: a first load has no two rows with one key, so that nobody needs to look for them. `fills`:
    the contract tables whose rows these are, one for one, so that a company's own fields can reach them;
    `custom`: the JSON column that holds such fields, None where each is a column. `told_by`: the table whose
    rows in the warehouse decide what of this one is read. `happened`: of events and invoices, the column with
    their moment, by which the source can be asked for a month of them. `part_of`: the table that has the
    moment of what a row is a part of, and the column with that one's key.
    """

    description: str
    primary_key: tuple[str, ...]
    columns: dict[str, str]
    ignored: frozenset[str] = frozenset()
    complete: bool = False
    newest_by: str | None = None
    is_unique: bool = False
    fills: tuple[str, ...] = ()
    custom: str | None = None
    told_by: str | None = None
    happened: str | None = None
    part_of: tuple[str, str] | None = None


#: Columns that every raw table has besides.
ADDED = {"_extra": "json", "_hash": "bigint", "_loaded_at": "timestamp"}


@dataclass
class TableReport:
    """Rows read from the source, rows written, rows the table has now.

    `moments`: of a table with `happened`, when what the rows written tell of happened.
    """

    extracted: int = 0
    loaded: int = 0
    total: int = 0
    moments: list[pa.ChunkedArray] = field(default_factory=list)

    def by_month(self, timezone: str) -> dict[str, int]:
        """Rows written by the first day (ISO 8601) of the month that they are of, in a time zone."""
        kind = pa.timestamp("us", timezone)
        local = pa.chunked_array([part.cast(kind) for some in self.moments for part in some.chunks], kind)
        counted = pc.value_counts(pc.strftime(local.drop_null(), "%Y-%m-01")).to_pylist()
        return {one["values"]: one["counts"] for one in counted}


@dataclass
class LoadReport:
    """What one load did, by table."""

    source: str
    tables: dict[str, TableReport] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    is_first: bool = False


#: Raw table, of sources whose API can count: how many rows of a table the source itself says it has.
COUNTS = "_counts"
COUNTS_SPEC = TableSpec(
    "Live records by table as the source counts them itself, of those created before an instant",
    ("table_name",),
    {"table_name": "text", "row_count": "bigint", "created_column": "text", "created_before": "timestamp"},
)


class _Counter:
    """Rows read and rows passed on per table of the load under way, and what the source counts."""

    def __init__(self) -> None:
        self.tables: dict[str, TableReport] = {}
        self.at_source: list[dict[str, Any]] = []
        self.kept: dict[str, set[str]] = {}  # of an exact backfill, the keys of what it asks for

    def clear(self) -> None:
        """Begin anew."""
        self.tables.clear()
        self.at_source.clear()
        self.kept.clear()

    def table(self, name: str) -> TableReport:
        return self.tables.setdefault(name, TableReport())


_counter = _Counter()


class _Heard(logging.Handler):
    """What the connectors warned of in the load under way."""

    def __init__(self, source: str) -> None:
        super().__init__(logging.WARNING)
        self.source = source
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.messages.append(placed(record.getMessage(), self.source))

    def __enter__(self) -> _Heard:
        logging.getLogger(__package__).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(__package__).removeHandler(self)


def raw_tables(config: SourceConfig) -> Mapping[str, TableSpec]:
    """Every raw table that a source loads."""
    module = importlib.import_module(f"ingestion.{config.type}")
    return module.tables(config) if config.type == FILES else with_custom_columns(config, module.TABLES)


def make_source(
    config: SourceConfig, tables: Mapping[str, TableSpec], feeds: Mapping[str, Feed]
) -> DltSource:
    """A dlt source with one resource per table. Feeds run one after another, in the order of `feeds`."""
    tables = with_custom_columns(config, tables)
    missing = tables.keys() ^ feeds.keys()
    if missing:
        raise ValueError(f"tables and feeds differ: {sorted(missing)}")

    @dlt.source(name=config.name, max_table_nesting=0, schema_contract=CONTRACT)
    def build() -> Iterator[DltResource]:
        for name, feed in feeds.items():
            yield _resource(name, tables[name], feed)

    return build()


def count_at_source(table: str, rows: int, created_column: str, created_before: datetime) -> None:
    """Note how many live rows of a table the source has; the gates compare them with the warehouse's."""
    _counter.at_source.append(
        {
            "table_name": table,
            "row_count": rows,
            "created_column": created_column,
            "created_before": created_before,
        }
    )


def counts(_state: State) -> Batches:
    """The feed of `COUNTS`, which runs last."""
    yield [row for row in _counter.at_source if not changes.is_frozen(row["table_name"])]


def has_loaded(config: SourceConfig, home: Home) -> bool:
    """Whether the warehouse has a good load of the source."""
    return writing.has_loaded(home, f"raw_{config.name}")


def load_source(
    config: SourceConfig, as_of: datetime, home: Home, backfill: changes.Backfill | None = None
) -> LoadReport:
    """Load everything new of one source into `raw_<name>`; on any fault nothing of it is half-loaded.

    In: `backfill`, what is to be read again although it was loaded. Raises `UserError`; if it is for a table
    whose column changed its type, that table is as it was and the others are loaded. An exact backfill is not
    a load of the source, which is as fresh as it was before.
    """
    is_exact = backfill is not None and backfill.is_exact
    _configure_dlt()
    pipeline: dlt.Pipeline | None = None
    try:
        with writing.held_open(home):
            pipeline = writing.pipeline(config, home, raw_tables(config))
            is_first = not writing.has_loaded(home, pipeline.dataset_name)
            if is_first and is_exact:
                raise UserError(f"source {config.name!r} was never loaded: run the whole pipeline first")
            if is_first:  # of a warehouse deleted since, its mark may still be there
                home.loaded(config.name).unlink(missing_ok=True)
            with _Heard(config.name) as heard:
                source, frozen = _extract(pipeline, config, as_of, home, backfill, is_first)
            writing.write(pipeline)
            if is_first:
                writing.keep_one(home, pipeline.dataset_name, raw_tables(config))
            if not is_exact:
                home.loaded(config.name).parent.mkdir(exist_ok=True)
                home.loaded(config.name).touch()
                shutil.rmtree(home.quarantine / config.name, ignore_errors=True)
            if frozen:
                raise UserError(_frozen(config.name, frozen, home))
            totals = _totals(home, pipeline.dataset_name, source)
            return LoadReport(config.name, totals, heard.messages, is_first)
    except Exception as exc:
        if any(isinstance(cause, KeyboardInterrupt) for cause in chain(exc)):
            raise KeyboardInterrupt from None  # what dlt makes of Ctrl-C is an ordinary exception too
        if pipeline is not None:
            pipeline.drop()
        for cause in chain(exc):
            if isinstance(cause, DataValidationError):
                raise UserError(_declared_anew(config.name, cause)) from exc
            if isinstance(cause, TypeFlipError):
                raise UserError(_frozen(config.name, {cause.table: cause}, home)) from exc
        raise explain(exc, config.name) from exc


def _extract(
    pipeline: dlt.Pipeline,
    config: SourceConfig,
    as_of: datetime,
    home: Home,
    backfill: changes.Backfill | None,
    is_first: bool,
) -> tuple[DltSource, dict[str, TypeFlipError]]:
    """Everything new as a package of dlt's, without the tables whose columns changed their type.

    Such a table shows only when some of it is in the package already, so the source is read once more.
    """
    module = importlib.import_module(f"ingestion.{config.type}")
    tables = raw_tables(config)
    frozen: dict[str, TypeFlipError] = {}
    others = _others(tables, backfill) if backfill is not None and backfill.is_exact else frozenset()
    while True:
        still = others | {*frozen} | {spec.told_by for name in frozen if (spec := tables[name]).told_by}
        _counter.clear()
        source = module.source(config, as_of)
        if is_first:
            for resource in source.resources.values():
                resource.apply_hints(write_disposition="append")
        gc.freeze()  # what lives already is not looked through again for every few thousand rows read
        try:
            with changes.comparing(home.warehouse, pipeline.dataset_name, backfill, still):
                pipeline.extract(source, loader_file_format="parquet")
            return source, frozen
        except Exception as exc:
            flip = next((cause for cause in chain(exc) if isinstance(cause, TypeFlipError)), None)
            if flip is None or flip.table in frozen:
                raise
            frozen[flip.table] = flip
            writing.restore(pipeline)
        finally:
            gc.unfreeze()


def _others(tables: Mapping[str, TableSpec], backfill: changes.Backfill) -> frozenset[str]:
    """The tables that an exact backfill leaves as they are."""
    parts = {name for name, spec in tables.items() if spec.part_of and spec.part_of[0] == backfill.table}
    return frozenset(tables.keys() - parts - {backfill.table})


def _resource(name: str, spec: TableSpec, feed: Feed) -> DltResource:
    kinds = {**spec.columns, **ADDED}
    columns: dict[str, Any] = {column: _hints(kind) for column, kind in kinds.items()}
    for key in spec.primary_key:
        columns[key]["nullable"] = False
    if spec.newest_by:
        columns[spec.newest_by]["dedup_sort"] = "desc"

    def rows() -> Iterator[Any]:
        state = dlt.current.resource_state()
        changes.reading(name)
        if changes.is_any_frozen():  # what one table reads may hang on another's cursor
            state = deepcopy(state)
        if not changes.exists(name):
            yield _finished(to_arrow(name, spec.columns, []), spec)
        if changes.is_frozen(name):
            deque(feed(state), maxlen=0)  # other feeds may need what it reads
            return
        yield from _changed(name, spec, feed(state))

    return dlt.resource(
        rows,
        name=name,
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        primary_key=list(spec.primary_key),
        columns=columns,
        schema_contract=CONTRACT,
    )()


def _hints(kind: str) -> dict[str, Any]:
    """A column as dlt would read it from our Arrow tables; any other wording counts as a changed type."""
    size = {"precision": 38, "scale": 9} if kind == "decimal" else {}
    return {"data_type": kind, "nullable": True, **size}


def _changed(name: str, spec: TableSpec, batches: Batches) -> Iterator[pa.Table]:
    """Typed, hashed batches without what the warehouse holds already."""
    count = _counter.table(name)
    announced: set[str] = set()
    seen: list[pa.Table] = []
    for batch in batches:
        typed = _asked_for(name, spec, to_arrow(name, spec.columns, batch, spec.ignored, announced))
        count.extracted += typed.num_rows
        if spec.complete:
            seen.append(typed.select(list(spec.primary_key)))
        yield from _pass_on(name, spec, typed)
    if spec.complete and changes.exact() is None:
        yield from _pass_on(name, spec, deleted(name, spec, seen))


def _asked_for(name: str, spec: TableSpec, typed: pa.Table) -> pa.Table:
    """What an exact backfill asks for of rows that were read; all of them in any other load."""
    asked = changes.exact()
    if asked is None:
        return typed
    if spec.part_of is not None:
        parent, column = spec.part_of
        return typed.filter(pc.is_in(typed[column], pa.array(_counter.kept.get(parent, ()), pa.string())))
    moments = typed[spec.happened]
    inside = pc.and_(pc.greater_equal(moments, asked.since), pc.less(moments, asked.until))
    kept = typed.filter(inside)
    _counter.kept.setdefault(name, set()).update(kept[spec.primary_key[0]].to_pylist())
    return kept


def _pass_on(name: str, spec: TableSpec, typed: pa.Table) -> Iterator[pa.Table]:
    if typed.num_rows == 0:
        return
    changed = changes.drop_unchanged(name, spec.primary_key, changes.with_hash(typed))
    if changed.num_rows:
        _counter.table(name).loaded += changed.num_rows
        if spec.happened is not None:
            _counter.table(name).moments.append(changed[spec.happened])
        yield _finished(changed, spec)


def _finished(changed: pa.Table, spec: TableSpec) -> pa.Table:
    """Hashed rows with the time of this load, keys declared as never NULL."""
    if "_hash" not in changed.column_names:
        changed = changes.with_hash(changed)
    now = pa.repeat(pa.scalar(datetime.now(UTC), TYPES["timestamp"]), changed.num_rows)
    changed = changed.append_column("_loaded_at", now)
    fields = [f.with_nullable(f.name not in spec.primary_key) for f in changed.schema]
    return changed.cast(pa.schema(fields))


def deleted(name: str, spec: TableSpec, seen: list[pa.Table]) -> pa.Table:
    """Rows of a complete table that its source no longer has, marked deleted."""
    schema = pa.schema([(key, TYPES[spec.columns[key]]) for key in spec.primary_key])
    keys = pa.concat_tables([schema.empty_table(), *seen])
    columns = [*spec.columns, "_extra"]
    lost, live = changes.gone(name, spec.primary_key, columns, keys)
    typed = pa.schema([(c, TYPES[spec.columns.get(c, "json")]) for c in columns])
    if lost is None or lost.num_rows == 0:
        return typed.empty_table()
    shrunk = lost.num_rows > SHRINK_FREE_ROWS and lost.num_rows > SHRINK_LIMIT * live
    if shrunk and os.environ.get("REVOPS_ALLOW_SHRINK") != "1":
        raise UserError(
            f"table {name!r}: the source lists {lost.num_rows} of {live} rows no longer, which looks like "
            "a truncated answer. Nothing was loaded; if they are really gone, run with REVOPS_ALLOW_SHRINK=1"
        )
    return changes.marked_deleted(lost).cast(typed)


def _frozen(source: str, flips: Mapping[str, TypeFlipError], home: Home) -> str:
    """Keep the rows that froze their tables where only their owner reads them; says what and where."""
    said = []
    for table, flip in flips.items():
        place = home.quarantine / source / f"{table}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch(mode=0o600)
        lines = [json.dumps(dict(row), default=str, ensure_ascii=False) for row in flip.rows]
        place.write_text("\n".join(lines) + "\n", encoding="utf-8")
        said.append(f"{flip}. {len(flip.rows)} such row(s) are kept in {place}")
    return placed(". ".join(said), source)


def _declared_anew(source: str, flipped: DataValidationError) -> str:
    return (
        f"source {source!r}, table {flipped.table_name!r}, column {flipped.column_name!r}: "
        "its declared type differs from the one in the warehouse. "
        f"Drop the table raw_{source}.{flipped.table_name} to load it anew, or declare the column as it was"
    )


def _totals(home: Home, dataset: str, source: DltSource) -> dict[str, TableReport]:
    report = {name: _counter.table(name) for name in source.resources}
    with duckdb.connect(str(home.warehouse)) as connection:
        for name, table in report.items():
            query = f'select count(*) from "{dataset}"."{name}"'  # noqa: S608
            count = connection.execute(query).fetchone()
            table.total = count[0] if count else 0
    return report


def _configure_dlt() -> None:
    """No telemetry; feeds in order; a load id on Arrow rows too."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"  # dlt warns of every json column that arrives as Arrow text
    dlt.config["extract.next_item_mode"] = "fifo"
    dlt.config["normalize.parquet_normalizer.add_dlt_load_id"] = True
