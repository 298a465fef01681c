"""The files of a mapping as DuckDB views, all columns text unless an option says otherwise."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from ingestion.files_excel import UnreadableError, read_sheets
from ingestion.mapping import FileInput, FileMapping, identifier
from settings.errors import UserError

#: Options that say where columns begin.
_LAYOUT = ("delim", "sep", "delimiter", "skip", "auto_detect")
#: Options that say which types columns have.
_TYPING = ("all_varchar", "types", "dtypes", "columns", "auto_type_candidates")


@contextmanager
def open_files(mapping: FileMapping) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB with a view per entry of `[files]`."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set autoinstall_known_extensions = false")
        for entry in mapping.files.values():
            try:
                query = _query(connection, entry)
                connection.execute(f"create view {identifier(entry.name)} as {query}")
                connection.execute(f"describe {identifier(entry.name)}").fetchall()
            except (duckdb.Error, UnreadableError) as exc:
                names = ", ".join(path.name for path in entry.paths[:3])
                raise UserError(
                    f"mapping {mapping.path}: [files] {entry.name}: {names} cannot be read as {entry.kind}: "
                    f"{damage(mapping, exc)}"
                ) from exc
        yield connection


def stamp(mapping: FileMapping) -> list[tuple[str, int, int]]:
    """Every file of the mapping as it is on disk: path, bytes, time of its last change in nanoseconds."""
    found = []
    for path in (path for entry in mapping.files.values() for path in entry.paths):
        try:
            state = path.stat()
        except FileNotFoundError:
            gone = f"mapping {mapping.path}: {path} has just gone. Run again when the export is done"
            raise UserError(gone) from None
        found.append((str(path), state.st_size, state.st_mtime_ns))
    return found


def damage(mapping: FileMapping, exc: Exception) -> str:
    """What is wrong with a file, and where in it."""
    if isinstance(exc, duckdb.Error):
        said = str(exc)
        if "magic bytes" in said:
            return f"{short(exc)}: the file is cut off or is no Parquet. Export it again"
        if "sniffing file" in said:
            return (
                "its lines have no form in common: one has more or fewer columns than the first, or a quote "
                "is not closed, so that the file looks cut off or damaged. Export it again"
            )
        line = re.search(r"CSV Error on Line: (\d+)", said)
        counted = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", said)
        file = re.search(r"^ *file ?= ?(.+)$", said, re.MULTILINE)
        if line:
            place = f"line {line[1]}" + (f" of {Path(file[1].strip()).name}" if file else "")
            problem = f"has {counted[2]} columns instead of {counted[1]}" if counted else "breaks the format"
            return f"{place} {problem}: the file is cut off or damaged. Export it again, or correct that line"
        return short(exc)
    return str(exc)


@lru_cache(maxsize=1024)
def _is_whole(path: Path, changed: int) -> bool:
    """Whether a packed file ends as it should, which DuckDB does not look at; asked once per change."""
    del changed
    try:
        with gzip.open(path, "rb") as file:
            while file.read(1 << 20):
                pass
    except (EOFError, OSError):
        return False
    return True


def _query(connection: duckdb.DuckDBPyConnection, entry: FileInput) -> str:
    for path in entry.paths:
        if path.suffix.lower() == ".gz" and not _is_whole(path, path.stat().st_mtime_ns):
            raise UnreadableError(f"{path.name} is cut off in the middle. Export it again")
    paths = literal([str(path) for path in entry.paths])
    options = dict(entry.options)
    is_text = not any(name in options for name in _TYPING)
    if entry.kind == "csv":
        defaults: dict[str, Any] = {"union_by_name": True, "header": True}
        if is_text:
            defaults["all_varchar"] = True
        if not options.keys() & set(_LAYOUT):
            # Left to itself, DuckDB reads a file with one ragged line in some other way that happens to fit.
            defaults |= {"skip": 0, "delim": _delimiter(entry)}
        return _call("read_csv", paths, {**defaults, **options})
    if entry.kind == "excel":
        table = f"sheet of {entry.name}"
        connection.register(table, read_sheets(entry.paths, options))
        return f"select * from {identifier(table)}"  # noqa: S608
    is_text = is_text or options.pop("all_varchar", False)
    if entry.kind == "parquet":
        call = _call("read_parquet", paths, {"union_by_name": True, **options})
        if not is_text:
            return call
        names = [identifier(row[0]) for row in connection.execute(f"describe {call}").fetchall()]
        return f"select {', '.join(f'cast({n} as varchar) as {n}' for n in names)} from ({call})"  # noqa: S608
    call = _call("read_json", paths, {"union_by_name": True, "sample_size": -1, **options})
    if not is_text:
        return call
    names = [row[0] for row in connection.execute(f"describe {call}").fetchall()]
    return _call("read_json", paths, {**options, "columns": dict.fromkeys(names, "VARCHAR")})


def _delimiter(entry: FileInput) -> str:
    """What separates the columns of the first file's first line."""
    path = entry.paths[0]
    if path.suffix.lower() == ".zst":
        return ","
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    encoding = "utf-16" if "16" in str(entry.options.get("encoding", "")) else "latin-1"
    with opened(path, "rb") as file:
        head = file.read(65_536).decode(encoding, errors="replace")
    names = re.sub(r'"[^"]*"', "", head).splitlines()[:1] or [""]
    return max(",;\t|", key=names[0].count)


def _call(function: str, paths: str, options: dict[str, Any]) -> str:
    given = ", ".join(f"{name} = {literal(value)}" for name, value in options.items())
    return f"select * from {function}({paths}, {given})"  # noqa: S608


def literal(value: Any) -> str:
    """A TOML value as a DuckDB literal."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return "'" + str(value).replace("'", "''") + "'"


def short(exc: duckdb.Error) -> str:
    """What DuckDB says, without the excerpt of the query."""
    lines: list[str] = []
    for line in str(exc).splitlines():
        if line.startswith("LINE ") or (not line.strip() and lines):
            break
        lines.append(line.strip())
    return " ".join(lines)
