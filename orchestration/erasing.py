"""`revops erase`: an address, and the names beside it, out of every layer of the warehouse.

Rows stay, with a pseudonym in the place of the address, so that no figure changes and the same person is
still one person. A deleted text stays readable in a DuckDB file until all of it is written to a new one, so
that is done, too.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from expectations import erased
from settings.errors import UserError
from settings.lock import run_lock
from settings.paths import Home

#: Columns and JSON keys that say who somebody is, in the vendors' words.
NAMES = (
    r"(first|last|middle|full|given|family|sur)_?name|first|last|[fl]name|job_?title|title|salutation|phone"
    r"|mobile(_?phone)?|linkedin\w*|twitter\w*|address\w*|city|zip|photo\w*|birth\w*"
)
#: Tables each of whose rows is a person, so that `name` is one's own.
PEOPLE = r"(contact|lead|person|recipient|member|user)s?"


@dataclass(frozen=True)
class Erasure:
    """Who was erased, by hash, and the rows changed by table."""

    person: str
    rows: dict[str, int]


def erase(home: Home, address: str, at: datetime) -> Erasure:
    """Take a person out of the warehouse, and remember the hash of the address: the gates see it return.

    Raises `UserError` if it is no address, another run is writing, or there is no space for a second file.
    """
    address = address.strip().lower()
    if not re.fullmatch(erased.ADDRESS, address):
        raise UserError("that is no e-mail address. Erase one person at a time, by the whole address")
    with run_lock(home, "revops erase"):
        person = erased.remember(home.erased, address, at)
        # The domain is the company's, and may be all that tells whose customer the person was.
        rows = _redact(home.warehouse, address, f"erased-{person[:16]}@{address.split('@')[1]}")
        # What dlt and a refused load keep on the side is made anew, or read again.
        for folder in (home.dlt, home.quarantine):
            shutil.rmtree(folder, ignore_errors=True)
    return Erasure(person, rows)


def _redact(warehouse: Path, address: str, pseudonym: str) -> dict[str, int]:
    if not warehouse.exists():
        return {}
    fresh = warehouse.with_suffix(".erasing")
    fresh.unlink(missing_ok=True)
    try:
        with duckdb.connect() as connection:
            connection.execute(f"attach {_text(warehouse)} as warehouse; use warehouse")
            rows = {
                f"{schema}.{table}": changed
                for schema, table, columns in _tables(connection)
                if (changed := _redact_table(connection, schema, table, columns, address, pseudonym))
            }
            connection.execute(f"attach {_text(fresh)} as fresh; copy from database warehouse to fresh")
            connection.execute("use memory; detach fresh; detach warehouse")
        fresh.replace(warehouse)
    except (duckdb.Error, OSError) as exc:
        raise UserError(
            f"{warehouse} could not be written anew: {str(exc).splitlines()[0]}. Free as much space as it "
            "has, and erase once more: until then the person can still be read in the file"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
    warehouse.with_suffix(".duckdb.wal").unlink(missing_ok=True)
    return rows


def _tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, dict[str, str]]]:
    found = connection.execute(
        "select schema_name, table_name, map(list(column_name), list(data_type)) from duckdb_columns()"
        " where database_name = 'warehouse' and data_type in ('VARCHAR', 'JSON')"
        " and (schema_name, table_name) in"
        " (select (schema_name, table_name) from duckdb_tables() where database_name = 'warehouse')"
        " group by all order by all"
    ).fetchall()
    return [(schema, table, columns) for schema, table, columns in found]


def _redact_table(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    columns: dict[str, str],
    address: str,
    pseudonym: str,
) -> int:
    """Change the rows of a table that name the address; gives how many."""
    # The same address inside a longer one is another; a full stop may end a sentence after it.
    pattern = rf"(?i)(^|[^a-z0-9._%+-]){re.escape(address)}($|[^a-z0-9.-]|\.($|[^a-z0-9]))"
    texts = ", ".join(f'"{column}"' for column in columns)
    names_a_person = bool(re.fullmatch(PEOPLE, table))
    changes = []
    for column, kind in columns.items():
        if re.fullmatch(NAMES, column, re.IGNORECASE) or (names_a_person and column == "name"):
            changes.append(f'"{column}" = null')
            continue
        value = f'"{column}"::text'
        for _ in range(2):  # two addresses may share the sign between them
            value = f"regexp_replace({value}, $pattern, '\\1{pseudonym}\\2', 'g')"
        if kind == "JSON":
            value = f"regexp_replace({value}, $named, '\\1null', 'g')::json"
        changes.append(f'"{column}" = {value}')
    return connection.execute(
        f'update "{schema}"."{table}" set {", ".join(changes)}'  # noqa: S608
        f" where regexp_matches(concat_ws(' ', {texts}), $pattern)",
        {"pattern": pattern, "named": rf'(?i)("(?:{NAMES})"\s*:\s*)"[^"]*"'}
        if "JSON" in columns.values()
        else {"pattern": pattern},
    ).fetchall()[0][0]


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
