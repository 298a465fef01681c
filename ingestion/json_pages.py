"""Columns out of the JSON text of whole pages, read by Arrow and not by Python: for lists of millions.

In: pages as they came. Out: an Arrow table, with what is found at a column's paths, or nothing if a page has
to be looked at record by record, because a value is not of the JSON type that its column usually has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ingestion.arrow import TYPES

#: Where a column's value is in a record, such as `parent.id`: the first of the places that has one.
Paths = Mapping[str, tuple[str, ...]]

_SCALARS = (pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.string())
#: What Arrow may have read for a column of a type, so that it says what the record said.
_FAITHFUL: dict[str, tuple[pa.DataType, ...]] = {
    "text": (pa.string(), pa.int64()),
    "bool": (pa.bool_(),),
    "timestamp": (pa.string(), pa.timestamp("s")),
}


def first(record: Mapping[str, Any], paths: tuple[str, ...]) -> Any:
    """What a record has at the first of the paths that has something."""
    for path in paths:
        found: Any = record
        for name in path.split("."):
            found = None if found is None else found.get(name)
        if found is not None:
            return found
    return None


class _UnsureError(Exception):
    """Arrow may have read something else than was said."""


def columns(
    pages: Sequence[bytes], listed: str, paths: Paths, kinds: Mapping[str, str], known: Set[str]
) -> pa.Table | None:
    """The records of the pages' lists by typed column; fields that are not `known` keep their own names.

    In: `listed`, the name of a page's list; `kinds`, a column's type. None if Arrow cannot tell for sure.
    """
    try:
        records = _records(pages, listed)
        found = {name: _column(records, places, kinds[name]) for name, places in paths.items()}
        unknown = {field.name: field.type for field in records.type if field.name not in known}
        if not all(kind in _SCALARS for kind in unknown.values()):
            return None
        return pa.table(found | {name: pc.struct_field(records, name) for name in unknown})
    except (_UnsureError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _records(pages: Sequence[bytes], listed: str) -> pa.StructArray:
    """All records of all pages; a line break is never within a JSON text, so a page can be made a line."""
    lines = b"\n".join(page.replace(b"\n", b" ") for page in pages)
    block = max(2 * max(map(len, pages)), 2**22)
    read = pa.json.read_json(pa.BufferReader(lines), pa.json.ReadOptions(block_size=block))
    lists = read[listed].combine_chunks()
    if not (pa.types.is_list(lists.type) and pa.types.is_struct(lists.type.value_type)):
        raise _UnsureError
    records = lists.flatten()
    if records.null_count:
        raise _UnsureError
    return records


def _column(records: pa.StructArray, places: tuple[str, ...], kind: str) -> pa.Array:
    told = [one for place in places if not pa.types.is_null((one := _at(records, place)).type)]
    if any(one.type not in _FAITHFUL[kind] for one in told):
        raise _UnsureError
    typed = [one.cast(TYPES[kind]) for one in told]
    return pc.coalesce(*typed) if typed else pa.nulls(len(records), TYPES[kind])


def _at(records: pa.StructArray, path: str) -> pa.Array:
    """The values at a path; of type null if no record has one."""
    found: pa.Array = records
    for name in path.split("."):
        if pa.types.is_null(found.type):
            break
        if not pa.types.is_struct(found.type):
            raise _UnsureError
        found = (
            pc.struct_field(found, name) if found.type.get_field_index(name) >= 0 else pa.nulls(len(found))
        )
    return found


def by_size(pages: Iterator[bytes], most: int) -> Iterator[list[bytes]]:
    """The pages in groups of about so many bytes."""
    group: list[bytes] = []
    size = 0
    for page in pages:
        group.append(page)
        size += len(page)
        if size >= most:
            yield group
            group, size = [], 0
    if group:
        yield group
