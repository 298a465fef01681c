"""Dagster's own event log in SQLite files, kept open.

Dagster's opens a file anew for each query, with SQLAlchemy's work to prepare it and SQLite's to take leave:
as nobody else has the file open, each close folds the write-ahead log back into it and waits for the disk. Of
a run with some hundred assets and checks that is most of the time Dagster takes.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event

#: Files held open: the index, and those of the runs somebody is writing or looking at.
MOST_FILES = 8


class KeptOpenEventLog(SqliteEventLogStorage):
    """The files and tables of `SqliteEventLogStorage`, with a lasting connection to each of the last used."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        self._together: contextlib.ExitStack | None = None
        self._begun: dict[str, Connection] = {}
        super().__init__(base_dir, inst_data)
        self._db_lock = threading.RLock()  # type: ignore[assignment]  # whoever has it stores more than one row

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> KeptOpenEventLog:
        """As dagster.yaml asks for it."""
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: EventLogEntry) -> None:
        """All of an event in one transaction a file, where Dagster makes up to three."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """The same of all events of a run that is about to begin, where Dagster stores one after the other.

        Also touches the run's file: the UI looks for news when it changes, and only its log did.
        """
        with self._db_lock, contextlib.ExitStack() as self._together:
            try:
                for event in events:
                    super().store_event(event)
            finally:
                self._together = None
                self._begun.clear()
        for run_id in {event.run_id for event in events}:
            os.utime(self.path_for_shard(run_id))

    def has_table(self, table_name: str) -> bool:
        """Whether the index has it; Dagster asks with every check, and no table ever goes."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        """The same of a column, which Dagster asks with every asset."""
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def wipe(self) -> None:
        """Let go of the files before they are deleted."""
        with self._db_lock:
            self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close the files."""
        with self._db_lock:
            self._close()
        super().dispose()

    @contextlib.contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if self._together is None:
                with self._transaction(shard) as connection:
                    yield connection
                return
            if shard not in self._begun:
                self._begun[shard] = self._together.enter_context(self._transaction(shard))
            yield self._begun[shard]

    @contextlib.contextmanager
    def _transaction(self, shard: str) -> Iterator[Connection]:
        engine = self._engines.pop(shard, None) or self._opened(shard)
        self._engines[shard] = engine
        if len(self._engines) > MOST_FILES:
            self._engines.popitem(last=False)[1].dispose()
        with engine.connect() as connection, connection.begin():
            yield connection

    def _opened(self, shard: str) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        )
        event.listen(engine, "connect", _wait_less)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine

    def _close(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()


def _wait_less(connection: sqlite3.Connection, _record: Any) -> None:
    """With a write-ahead log this is as safe when a process dies; a power cut may take the last events."""
    connection.execute("pragma synchronous = normal")
