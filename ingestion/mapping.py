"""Reading a file mapping: which files are read, how, and which expressions fill which contract table.

In: the TOML file of a `files` source. Out: a `FileMapping` with every path resolved, or a `UserError` that
names the file, the key and the fix. Nothing is evaluated here; `ingestion.files` does that.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from settings.config import SourceConfig
from settings.errors import UserError

_TOP = ("root", "files", "tables", "allow_shrink")
_TABLE = ("from", "query", "columns")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}
_PACKED = (".gz", ".zst")


@dataclass(frozen=True)
class FileInput:
    """One entry of `[files]`: the files it stands for, and how DuckDB is to read them."""

    name: str
    pattern: str
    paths: tuple[Path, ...]
    kind: str  # csv | jsonl | parquet | excel
    options: dict[str, Any]


@dataclass(frozen=True)
class TableMapping:
    """One `[tables.X]`: the query its rows come from, and an expression per column."""

    name: str
    query: str
    origin: str  # how messages call what the rows come from
    columns: dict[str, str]


@dataclass(frozen=True)
class FileMapping:
    """A whole mapping file."""

    path: Path
    files: dict[str, FileInput]
    tables: dict[str, TableMapping]
    allow_shrink: bool = False


def read_mapping(config: SourceConfig) -> FileMapping:
    """The mapping of a source, its paths resolved and present."""
    if config.mapping is None:
        raise UserError(
            f'source {config.name!r} has no mapping. Add mapping = "<file>.toml" under '
            f"[sources.{config.name}]"
        )
    path = Path(config.mapping)
    given = _toml(path, config.name)
    _only(given, _TOP, f"mapping {path}")
    allow_shrink = given.get("allow_shrink", False)
    if not isinstance(allow_shrink, bool):
        raise UserError(f"mapping {path}: allow_shrink must be true or false, not {allow_shrink!r}")
    root = _root(path, given.get("root", "."))
    entries = _section(given, "files", path)
    files = {name: _input(path, root, name, entry) for name, entry in entries.items()}
    entries = _section(given, "tables", path)
    tables = {name: _table(path, files, name, entry) for name, entry in entries.items()}
    return FileMapping(path, files, tables, allow_shrink)


def identifier(name: str) -> str:
    """A quoted SQL name."""
    return '"' + name.replace('"', '""') + '"'


def suggest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean 'x'?`, or what there is, or nothing."""
    names = sorted(known)
    lower = {n.lower(): n for n in names}
    close = [lower[n] for n in get_close_matches(name.lower(), lower, n=3, cutoff=cutoff)]
    if close:
        return "; did you mean " + " or ".join(repr(n) for n in close) + "?"
    return f"; there is {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}" if names else ""


def _toml(path: Path, source: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"source {source!r}: mapping {path} does not exist. Correct mapping under [sources.{source}]"
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise UserError(f"source {source!r}: mapping {path} cannot be read: {exc}") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        message = f"mapping {path} is not valid TOML: {exc}. Values that hold SQL need quotes"
        raise UserError(message) from None


def _section(given: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    section = given.get(key)
    if not isinstance(section, dict) or not section:
        raise UserError(f"mapping {path} has no [{key}{'.<table>' if key == 'tables' else ''}]. Add one")
    return section


def _only(given: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise UserError(f"{where}: unknown key {key!r}{suggest(key, known)}")


def _root(path: Path, given: Any) -> Path:
    text = _expand(_text(given, f"mapping {path}: root"), path, "root")
    # An environment variable often holds a path relative to where the user is.
    places = [(path.parent / text).resolve(), Path(text).resolve()]
    for place in places:
        if place.is_dir():
            return place
    raise UserError(
        f"mapping {path}: root {places[0]} is not a folder. Correct root, or set what it is made of"
    )


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{where} must be a text, not {value!r}")
    return value


def _expand(text: str, path: Path, key: str) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = os.environ.get(name) or default
        if found is None:
            raise UserError(
                f"mapping {path}: {key} uses ${{{name}}}, which is not set. Set the environment variable "
                f"{name}, or give a default: ${{{name}:-path}}"
            )
        return found

    return _VARIABLE.sub(value, text)


def _input(path: Path, root: Path, name: str, entry: Any) -> FileInput:
    where = f"mapping {path}: [files] {name}"
    options = dict(entry) if isinstance(entry, dict) else {"path": entry}
    pattern = _expand(_text(options.pop("path", None), f"{where}: path"), path, f"[files] {name}")
    paths = _matches(root, pattern, where)
    kind = options.pop("format", None) or file_kind(paths[0], where)
    if kind not in _SUFFIXES.values():
        raise UserError(f"{where}: format {kind!r} is unknown; use csv, jsonl, parquet or excel")
    for one in paths:
        if one.stat().st_size == 0:
            raise UserError(f"{where}: {one} is empty. Export it again, or remove it")
    return FileInput(name, pattern, paths, kind, options)


def _matches(root: Path, pattern: str, where: str) -> tuple[Path, ...]:
    if any(sign in pattern for sign in "*?["):
        anchor = Path(Path(pattern).anchor) if Path(pattern).is_absolute() else root
        relative = str(Path(pattern).relative_to(anchor)) if Path(pattern).is_absolute() else pattern
        found = tuple(sorted(p for p in anchor.glob(relative) if p.is_file()))
        if not found:
            raise UserError(f"{where}: no file matches {pattern!r} in {root}")
        return found
    place = root / pattern
    if not place.is_file():
        beside = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
        raise UserError(f"{where}: {place} does not exist{suggest(place.name, beside)}")
    return (place,)


def file_kind(path: Path, where: str) -> str:
    """What a file is, by its name. Raises `UserError`, about `where`, if the name does not tell."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    kind = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise UserError(f'{where}: what {path.name} holds cannot be told from its name; add format = "csv"')
    return kind


def _table(path: Path, files: dict[str, FileInput], name: str, entry: Any) -> TableMapping:
    where = f"mapping {path}: [tables.{name}]"
    if not isinstance(entry, dict):
        raise UserError(f"{where} must be a table with from or query, and columns")
    _only(entry, _TABLE, where)
    if ("from" in entry) == ("query" in entry):
        raise UserError(f"{where} needs either from (a name of [files]) or query (SQL over them)")
    columns = entry.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise UserError(f'{where} has no columns. Add [tables.{name}.columns] with column = "expression"')
    expressions = {column: _expression(value, f"{where} {column}") for column, value in columns.items()}
    for column in expressions:
        if not _NAME.match(column):
            raise UserError(f"{where}: {column!r} is not a column name; use a-z, 0-9 and _")
    if "query" in entry:
        return TableMapping(name, _text(entry["query"], f"{where}: query"), "its query", expressions)
    origin = _text(entry["from"], f"{where}: from")
    if origin not in files:
        hint = suggest(origin, files)
        raise UserError(f"{where}: from names {origin!r}, which [files] does not have{hint}")
    label = f"file {origin!r} ({files[origin].pattern})"
    return TableMapping(name, f"select * from {identifier(origin)}", label, expressions)  # noqa: S608


def _expression(value: Any, where: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    return _text(value, where)
