"""From extracted packages into the warehouse, through dlt: nothing half-written, nothing lost, nothing twice.

A package that a crash left behind is written before anything new is read. The first load of a source is
appended, which costs half of a merge, and is looked through for keys that came twice; should it be cut off
while it is written, it begins anew. Every later load is merged on the tables' keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import dlt
import duckdb
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.runtime import signals
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration

from settings.config import SourceConfig
from settings.paths import Home

if TYPE_CHECKING:
    from ingestion.core import TableSpec


class _DuckDB(dlt.destinations.duckdb):
    """dlt's DuckDB, which works out once what it can do.

    dlt asks some twenty times a load, and each time looks for settings in every place there is.
    """

    #: dlt keeps it with a pipeline's state; it must not depend on where this class stands.
    destination_type = "dlt.destinations.duckdb"

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self._known: dict[object, DestinationCapabilitiesContext] = {}

    def capabilities(
        self, config: DuckDbClientConfiguration | None = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """Of the warehouse; a copy, as whoever asks may change it."""
        if config is not None:
            return super().capabilities(config, naming)
        kind = naming and (type(naming), naming.max_length)
        if kind not in self._known:
            self._known[kind] = super().capabilities(None, naming)
        return self._known[kind].copy()


def pipeline(config: SourceConfig, home: Home, tables: Mapping[str, TableSpec]) -> dlt.Pipeline:
    """The source's pipeline, what a crash left behind made good, state restored from the warehouse."""
    home.dlt.mkdir(parents=True, exist_ok=True)
    home.warehouse.parent.mkdir(parents=True, exist_ok=True)
    made = dlt.pipeline(
        pipeline_name=f"revops_{config.name}",
        pipelines_dir=str(home.dlt),
        destination=_DuckDB(str(home.warehouse)),
        dataset_name=f"raw_{config.name}",
    )
    if not has_loaded(home, made.dataset_name) and _dropped(home, made.dataset_name):
        made.drop()
    if set(made.list_extracted_load_packages()) & set(made.list_normalized_load_packages()):
        made.drop()  # cut off between two moves of dlt's, which it cannot mend; nothing of it is written yet
    if made.has_pending_data and home.warehouse.exists():
        write(made)
    if not home.loaded(config.name).exists():
        keep_one(home, made.dataset_name, tables)
    restore(made)
    return made


@contextlib.contextmanager
def held_open(home: Home) -> Iterator[None]:
    """While it lasts, who opens the warehouse in this process need not read its catalogue again."""
    with contextlib.ExitStack() as opened:
        if home.warehouse.exists():
            opened.enter_context(duckdb.connect(str(home.warehouse)))
        yield


def restore(given: dlt.Pipeline) -> None:
    """Forget what was extracted and not written; the warehouse says what is loaded."""
    given.drop()
    given.sync_destination()


def write(given: dlt.Pipeline) -> None:
    """What was extracted into the warehouse. Ctrl-C waits for that, but is not forgotten over it."""
    with signals.intercepted_signals():
        given.normalize()
        given.load()
        signals.raise_if_signalled()


def has_loaded(home: Home, dataset: str) -> bool:
    """Whether the warehouse has a complete load of the dataset."""
    if not home.warehouse.exists():
        return False
    with duckdb.connect(str(home.warehouse)) as connection:
        try:
            loads = f'select count(*) from "{dataset}"._dlt_loads where status = 0'  # noqa: S608
            done = connection.execute(loads).fetchone()
        except duckdb.CatalogException:
            return False
    return bool(done and done[0])


def keep_one(home: Home, dataset: str, tables: Mapping[str, TableSpec]) -> None:
    """Delete all but the newest row of each key that a first load brought more than once."""
    if not home.warehouse.exists():
        return
    with duckdb.connect(str(home.warehouse)) as connection:
        there = _tables(connection, dataset)
        for name, spec in tables.items():
            if spec.is_unique or name not in there:
                continue
            table, keys = f'"{dataset}"."{name}"', ", ".join(f'"{key}"' for key in spec.primary_key)
            query = f"select 1 from {table} group by {keys} having count(*) > 1 limit 1"  # noqa: S608
            if connection.execute(query).fetchone():
                newest = f'"{spec.newest_by}" desc nulls last, ' if spec.newest_by else ""
                connection.execute(f"""
                    delete from {table} where rowid in (
                        select rowid from {table}
                        qualify row_number() over (partition by {keys} order by {newest}rowid desc) > 1
                    )
                """)  # noqa: S608


def _dropped(home: Home, dataset: str) -> bool:
    """Drop what a first load wrote before it was cut off; False if it wrote nothing."""
    if not home.warehouse.exists():
        return False
    with duckdb.connect(str(home.warehouse)) as connection:
        if not _tables(connection, dataset):
            return False
        connection.execute(f'drop schema "{dataset}" cascade')
    return True


def _tables(connection: duckdb.DuckDBPyConnection, dataset: str) -> set[str]:
    found = connection.execute("select table_name from duckdb_tables() where schema_name = ?", [dataset])
    return {row[0] for row in found.fetchall()}
