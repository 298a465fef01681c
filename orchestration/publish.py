"""Publishes the marts: a database and Parquet files that BI reads while the pipeline writes elsewhere.

In: schema `marts` of the warehouse; what is published, of which held KPIs keep their values; what was
published first of past periods (`reported`). Out: `marts/current.duckdb` and `marts/parquet`, two links that
are swapped to a finished new version in one step each; readers of the old version keep it. Who reads several
Parquet files as one state resolves the link first. A publication that fails leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration import held, reported
from settings.errors import UserError
from settings.paths import Home

KEPT_VERSIONS = 3
#: The oldest DuckDB that shall read what is published.
STORAGE_VERSION = "v1.4.0"
SCHEMA = "marts"
#: Not `marts.duckdb`: readers name a database after its file, and `marts.x` would then be ambiguous.
DATABASE = "revops.duckdb"
#: In the name of a version's folder.
AS_OF_FORMAT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Publication:
    """What was published where: rows by table."""

    database: Path
    parquet: Path
    rows: dict[str, int]


def publish(home: Home, as_of: datetime) -> Publication:
    """Copy the marts into a new version and make it the current one.

    Raises `UserError` if the disk is full or the folder cannot be written.
    """
    number = max((_number(path) for path in _versions(home)), default=0) + 1
    version = home.marts / "versions" / f"{number:06d}-{as_of.strftime(AS_OF_FORMAT)}"
    part = version.with_name(f".{version.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "parquet").mkdir(parents=True)
        rows = _copy(home, part, as_of)
        part.rename(version)
        database, parquet = home.marts / "current.duckdb", home.marts / "parquet"
        _point(database, version / DATABASE)
        _point(parquet, version / "parquet")
    except (OSError, duckdb.Error) as exc:
        shutil.rmtree(part, ignore_errors=True)
        raise UserError(
            f"the marts could not be published to {home.marts}: {_reason(exc)}. What was published before is "
            "as it was; free space or mend the folder's rights, and run again"
        ) from exc
    try:
        reported.remember(home, as_of)
    except duckdb.Error as exc:
        raise UserError(
            f"the marts are published, but {home.warehouse} could not keep what was published first: "
            f"{_reason(exc)}. Free space and run again, which makes up for it"
        ) from exc
    for old in sorted(_versions(home), key=_number)[:-KEPT_VERSIONS]:
        shutil.rmtree(old, ignore_errors=True)
    return Publication(database, parquet, rows)


def published(home: Home) -> tuple[datetime, datetime] | None:
    """The instant the published marts are of, and when they were published; None before the first time."""
    current = home.marts / "current.duckdb"
    if not current.exists():
        return None
    version = current.resolve().parent
    as_of = datetime.strptime(version.name.split("-")[1], AS_OF_FORMAT).replace(tzinfo=UTC)
    return as_of, datetime.fromtimestamp(current.stat().st_mtime, UTC)


def _versions(home: Home) -> list[Path]:
    folder = home.marts / "versions"
    return [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []


def _number(version: Path) -> int:
    return int(version.name.split("-")[0])


def _copy(home: Home, folder: Path, as_of: datetime) -> dict[str, int]:
    """Every mart, with the comments that say what it holds, as a database and as Parquet."""
    rows: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"attach {_text(home.warehouse)} as warehouse (read_only)")
        connection.execute(
            f"attach {_text(folder / DATABASE)} as published (storage_version '{STORAGE_VERSION}')"
        )
        connection.execute(f"create schema published.{SCHEMA}")
        former = home.marts / "current.duckdb"
        if former.exists():
            connection.execute(f"attach {_text(former.resolve())} as former (read_only)")
        held.last_good(connection, former.exists())
        reported.first_published(connection, former.exists(), as_of)
        columns = _columns(connection)
        copied = {
            table: (f"warehouse.{SCHEMA}.{_name(table)}", comment, columns.get(table, []))
            for table, comment in _tables(connection)
        }
        copied[held.TABLE] = (f"temp.{held.TABLE}", *copied[held.TABLE][1:])
        copied[reported.TABLE] = f"temp.{reported.TABLE}", reported.COMMENT, list(reported.COLUMNS.items())
        connection.execute("begin")
        for table, (origin, comment, described) in copied.items():
            target = f"published.{SCHEMA}.{_name(table)}"
            connection.execute(f"create table {target} as from {origin} order by all")
            if comment:
                connection.execute(f"comment on table {target} is {_text(comment)}")
            for column, said in described:
                connection.execute(f"comment on column {target}.{_name(column)} is {_text(said)}")
            file = folder / "parquet" / f"{table}.parquet"
            connection.execute(f"copy {target} to {_text(file)} (format parquet, compression zstd)")
            counted = connection.execute(f"select count(*) from {target}").fetchone()  # noqa: S608
            rows[table] = counted[0] if counted else 0
        connection.execute("commit")
    return rows


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None]]:
    return connection.execute(
        "select table_name, comment from duckdb_tables()"
        " where database_name = 'warehouse' and schema_name = $schema order by table_name",
        {"schema": SCHEMA},
    ).fetchall()


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    """Every mart's columns with their comments."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, comment in connection.execute(
        "select table_name, column_name, comment from duckdb_columns() where database_name = 'warehouse'"
        " and schema_name = $schema and comment is not null order by table_name, column_index",
        {"schema": SCHEMA},
    ).fetchall():
        found.setdefault(table, []).append((column, comment))
    return found


def _point(link: Path, target: Path) -> None:
    """Make a link lead elsewhere, with no instant at which it leads nowhere."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, link.parent))
    os.replace(fresh, link)  # noqa: PTH105


def _reason(exc: Exception) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or (str(exc).splitlines() or [""])[0]


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
