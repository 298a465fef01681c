"""Who asked to be forgotten, and where the warehouse still names them.

Only a keyed hash of each address is kept (`$REVOPS_HOME/erased.json`, for its owner alone): who has no key
cannot find out by trying addresses who it was.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from settings.errors import UserError

if TYPE_CHECKING:
    from expectations.duckdb_engine import Session

#: What an e-mail address looks like in a text; DuckDB's and Python's regular expressions read it alike.
ADDRESS = r"[a-z0-9._%+-]+@[a-z0-9.-]*[a-z0-9]"


@dataclass
class Erased:
    """The key, and who was erased when: hash -> instant."""

    key: str = field(default_factory=lambda: secrets.token_hex(32))
    people: dict[str, str] = field(default_factory=dict)

    def hash(self, address: str) -> str:
        """The name under which an address is remembered."""
        return hmac.new(self.key.encode(), address.lower().encode(), hashlib.sha256).hexdigest()


def read(file: Path) -> Erased:
    """Everybody erased so far. Raises `UserError` if the file cannot be read."""
    try:
        return Erased(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Erased()
    except (OSError, ValueError, TypeError) as exc:
        raise UserError(
            f"{file} does not say who was erased ({type(exc).__name__}). Restore it from a backup: without "
            "its key nobody can tell whether they are still there"
        ) from None


def remember(file: Path, address: str, at: datetime) -> str:
    """Keep that somebody was erased; gives the hash of the address."""
    erased = read(file)
    name = erased.hash(address)
    erased.people.setdefault(name, at.isoformat())
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".json.part")
    with open(part, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        json.dump({"key": erased.key, "people": erased.people}, out)
    part.replace(file)
    return name


def find(session: Session, erased: Erased, silos: Mapping[str, str]) -> None:
    """Make `gate_erased`: person, silo, table_name and rows in which somebody erased is still named.

    In: source -> its silo. Every text of every table is read, and only if anybody was ever erased. DuckDB
    gives the addresses, and they are hashed here, where the key is.
    """
    session.run("create temp table gate_erased (person text, silo text, table_name text, records bigint)")
    if not erased.people:
        return
    tables = session.rows(
        "select schema_name, table_name, list(column_name order by column_index) from duckdb_columns()"
        " where database_name = current_database() and not internal and data_type in ('VARCHAR', 'JSON')"
        " and (schema_name, table_name) in"
        " (select (schema_name, table_name) from duckdb_tables() where database_name = current_database())"
        " group by all order by all"
    )
    for schema, table, columns in tables:
        texts = ", ".join(f'"{column}"' for column in columns)
        found = session.rows(
            "select address, count(*) from (select unnest(list_distinct("  # noqa: S608
            f"regexp_extract_all(lower(concat_ws(' ', {texts})), $address))) as address"
            f" from \"{schema}\".\"{table}\" where contains(concat_ws(' ', {texts}), '@')) group by address",
            {"address": ADDRESS},
        )
        silo = silos.get(schema.removeprefix("raw_"), schema)
        for address, records in found:
            person = erased.hash(address)
            if person in erased.people:
                session.run(
                    "insert into gate_erased values ($person, $silo, $table, $records)",
                    {"person": person, "silo": silo, "table": f"{schema}.{table}", "records": records},
                )
