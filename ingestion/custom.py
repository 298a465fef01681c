"""Fields a company has added to a vendor's records, and wants in the silo contract.

In: `[sources.<name>.fields]` of revops.toml, contract table -> column -> the vendor's field; of files, what
their mapping has beyond the contract. Out: the raw columns that hold them, and for dbt the SQL that reads
them. They are text: only the company knows what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from dlt.common.normalizers.naming.snake_case import NamingConvention

from ingestion.contract import ContractTable, contract
from settings.config import SourceConfig
from settings.errors import UserError
from settings.vendors import FILES

if TYPE_CHECKING:
    from ingestion.core import TableSpec

_NAMING = NamingConvention()
_COLUMN = re.compile("[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class CustomTable:
    """Where the added columns of one contract table are read from: raw table and key, column -> SQL."""

    table: str
    key: str
    contract_key: str
    columns: dict[str, str]


def raw_column(field: str) -> str:
    """The raw column of a vendor's field: its name as dlt writes it."""
    return _NAMING.normalize_identifier(field)


def asked_for(config: SourceConfig, *contract_tables: str) -> list[str]:
    """The vendor's fields that are wanted in these contract tables, for a connector to ask for by name."""
    found = (field for table in contract_tables for field in config.fields.get(table, {}).values())
    return list(dict.fromkeys(found))


def with_custom_columns(config: SourceConfig, tables: Mapping[str, TableSpec]) -> dict[str, TableSpec]:
    """The raw tables with a text column for each field that has none of its own."""
    found = {}
    for name, spec in tables.items():
        extra = asked_for(config, *spec.fills) if spec.custom is None else []
        new = {raw_column(field): "text" for field in extra if raw_column(field) not in spec.columns}
        found[name] = replace(spec, columns={**spec.columns, **new}) if new else spec
    return found


def custom_tables(config: SourceConfig, tables: Mapping[str, TableSpec]) -> dict[str, CustomTable]:
    """By contract table, what is read for it. Raises `UserError` for fields that cannot be."""
    known = contract()[config.silo]
    where = f"[sources.{config.name}.fields]"
    if config.type == FILES:
        if config.fields:
            raise UserError(f"{where}: files have no fields of a vendor. Name the columns in the mapping")
        return _of_files(tables, known)
    found = {}
    for table, fields in config.fields.items():
        raw = next((name for name, spec in tables.items() if table in spec.fills), None)
        if raw is None:
            able = sorted({one for spec in tables.values() for one in spec.fills})
            close = get_close_matches(table, able, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there is {', '.join(able) or 'none'}"
            raise UserError(f"{where}: {config.type} takes no fields for table {table!r}{hint}")
        for column in fields:
            if not _COLUMN.fullmatch(column):
                raise UserError(f"{where} {table}: {column!r} is no column name; use a-z, 0-9 and _")
            if column in known[table].columns or column == "source":
                raise UserError(f"{where} {table}: {column!r} is a column of the contract already")
        spec = tables[raw]
        found[table] = CustomTable(
            raw,
            spec.primary_key[0],
            known[table].primary_key[0],
            {column: _sql(spec.custom, field) for column, field in fields.items()},
        )
    return found


def _of_files(tables: Mapping[str, TableSpec], known: Mapping[str, ContractTable]) -> dict[str, CustomTable]:
    """Columns that a mapping has beyond the contract."""
    found = {}
    for table, spec in tables.items():
        if table in known:
            extra = [
                column
                for column in spec.columns
                if column not in known[table].columns and column != "is_deleted"
            ]
            if extra:
                key = known[table].primary_key[0]
                found[table] = CustomTable(table, key, key, {column: _sql(None, column) for column in extra})
    return found


def _sql(holder: str | None, field: str) -> str:
    """How a field is read: a column of its own, or a key of the JSON in `holder`."""
    if holder is None:
        return f'"{raw_column(field)}"'
    path = "$." + '"' + field.replace('"', '\\"') + '"'
    return f"json_extract_string(\"{holder}\", '{path.replace(chr(39), chr(39) * 2)}')"


def as_variable(found: Mapping[str, CustomTable]) -> dict[str, Any]:
    """As dbt's variables have it."""
    return {table: vars(one) for table, one in found.items()}
