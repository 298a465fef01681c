"""Typed tables out of vendor rows.

In: rows as a vendor module yields them (dicts, or for what is large an Arrow table).
Out: an Arrow table with exactly the declared columns, plus `_extra` with fields nobody declared (a table that
has an `_extra` already keeps it). A value that cannot be read as its column's type freezes the table with one
message; it is never silently made NULL.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from settings.errors import UserError

log = logging.getLogger(__name__)


class TypeFlipError(UserError):
    """A column whose values are no longer of its type, with the rows that say so."""

    def __init__(self, message: str, table: str, rows: list[Mapping[str, Any]]) -> None:
        super().__init__(message)
        self.table = table
        self.rows = rows


#: Of an Arrow table, whose columns have one type each, this many rows show what came.
ROWS_ASIDE = 100

#: What a value raises that is not of its column's type.
UNREADABLE = (ValueError, TypeError, InvalidOperation, pa.ArrowInvalid, OverflowError)

TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(38, 9),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def to_arrow(
    table: str,
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]] | pa.Table,
    ignored: frozenset[str] = frozenset(),
    announced: set[str] | None = None,
) -> pa.Table:
    """Rows as an Arrow table of the declared types. Unknown fields are announced and kept in `_extra`."""
    known = columns.keys() | ignored
    announced = announced if announced is not None else set()
    if isinstance(rows, pa.Table):
        return _cast(table, columns, rows, _extras(table, rows, known, announced))
    extras: list[str | None] = []
    for row in rows:
        unknown = row.keys() - known
        _announce(table, unknown, announced)
        extras.append(_extra(row, unknown) if unknown else None)
    arrays = []
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        try:
            arrays.append(read(kind, values))
        except UNREADABLE:
            places = [place for place, value in enumerate(values) if not _readable(kind, value)]
            message = _flipped(table, name, kind, _kind_of(values[places[0]]))
            raise TypeFlipError(message, table, [rows[place] for place in places]) from None
    return pa.table([*arrays, pa.array(extras, pa.string())], names=[*columns, "_extra"])


def read(kind: str, values: list[Any]) -> pa.Array:
    """Values as a column type's; by Arrow itself where all of them are of one type that it takes for it.

    Raises one of `UNREADABLE` if a value cannot be read so.
    """
    types = set(map(type, values)) - {type(None)}
    plain = PLAIN.get(kind, {}).get(next(iter(types))) if len(types) == 1 else None
    if plain is not None:
        try:
            return pa.array(values, plain).cast(TYPES[kind])
        except (pa.ArrowInvalid, OverflowError):
            pass  # such as '', or a time without a zone
    one = READERS[kind]
    return pa.array([None if v is None else one(v) for v in values], TYPES[kind])


def _readable(kind: str, value: Any) -> bool:
    try:
        read(kind, [value])
    except UNREADABLE:
        return False
    return True


def _extras(table: str, rows: pa.Table, known: Set[str], announced: set[str]) -> pa.Array:
    """`_extra` of an Arrow table: its own, or what its undeclared columns hold."""
    if "_extra" in rows.column_names:
        return rows["_extra"].cast(pa.string())
    unknown = sorted(set(rows.column_names) - known)
    if not unknown:
        return pa.nulls(rows.num_rows, pa.string())
    _announce(table, set(unknown), announced)
    return pa.array([_extra(row, unknown) for row in rows.select(unknown).to_pylist()], pa.string())


def _extra(row: Mapping[str, Any], unknown: Iterable[str]) -> str | None:
    """The fields that hold something: Arrow cannot tell one that is empty from one that is not there."""
    told = {name: row[name] for name in unknown if row[name] is not None}
    return _json(told) if told else None


def _announce(table: str, unknown: set[str], announced: set[str]) -> None:
    if unknown - announced:
        names = ", ".join(map(repr, sorted(unknown - announced)))
        said = "table %r: new field(s) %s, kept in _extra. To use them, declare them in the source's tables"
        log.warning(said, table, names)
        announced |= unknown


def _cast(table: str, columns: Mapping[str, str], rows: pa.Table, extras: pa.Array) -> pa.Table:
    arrays = []
    for name, kind in columns.items():
        if name not in rows.column_names:
            arrays.append(pa.nulls(rows.num_rows, TYPES[kind]))
            continue
        try:
            arrays.append(rows[name].cast(TYPES[kind]))
        except pa.ArrowInvalid:
            message = _flipped(table, name, kind, str(rows[name].type))
            raise TypeFlipError(message, table, rows.slice(0, ROWS_ASIDE).to_pylist()) from None
    return pa.table([*arrays, extras], names=[*columns, "_extra"])


def _flipped(table: str, column: str, old: str, new: str) -> str:
    return (
        f"table {table!r}, column {column!r}: the type changed from {old} to {new}. The table stays as "
        "it was; correct the field at its origin, or declare its new type in the source's tables"
    )


def _kind_of(value: Any) -> str:
    names = {str: "text", bool: "bool", int: "bigint", float: "double", list: "list", dict: "object"}
    return names.get(type(value), type(value).__name__)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str, separators=(",", ":"), ensure_ascii=False)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        raise TypeError
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bigint(value: Any) -> int | None:
    if isinstance(value, str):
        return int(Decimal(value)) if value else None
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _double(value: Any) -> float | None:
    return None if value == "" else float(value)


def _decimal(value: Any) -> Decimal | None:
    if value == "":
        return None
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    return round(number, 9)


def _bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "": None, "1": True, "0": False}[str(value).lower()]


def _bool_strict(value: Any) -> bool | None:
    try:
        return _bool(value)
    except KeyError:
        raise ValueError from None


def _timestamp(value: Any) -> datetime | None:
    """ISO text, epoch seconds, or a datetime; without a zone it is UTC."""
    if value == "":
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _date(value: Any) -> date | None:
    if value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value[:10])


#: What Arrow itself reads to the same result as the functions above, by column type and type of the values.
PLAIN: dict[str, dict[type, pa.DataType]] = {
    "text": {str: pa.string(), int: pa.int64()},
    "bigint": {int: pa.int64()},
    "double": {float: pa.float64()},
    "bool": {bool: pa.bool_()},
    "timestamp": {str: pa.string()},
}

READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "json": _json,
    "bigint": _bigint,
    "double": _double,
    "decimal": _decimal,
    "bool": _bool_strict,
    "date": _date,
    "timestamp": _timestamp,
}
