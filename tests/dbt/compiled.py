"""The models as dbt compiles them, run in DuckDB's memory on rows that a test makes up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt_alone import Dbt

from settings.config import SILOS

Row = Mapping[str, Any]
#: Schema and table -> its rows.
Rows = Mapping[str, Sequence[Row]]

#: What stands in the compiled SQL for the instant of the run.
_AS_OF = "1999-12-31 00:00:00+00"
_FOLDERS = ("fqn:core", "fqn:marts")


@dataclass(frozen=True)
class Model:
    """A model's table, as in `core.kpi_revenue`, and the query it is made of."""

    name: str
    table: str
    is_view: bool
    query: str


@dataclass(frozen=True)
class Models:
    """The SQL models of core and marts, each after those it reads, and the project's assertions."""

    models: list[Model]
    assertions: dict[str, str]
    readers: dict[str, set[str]]

    def between(self, given: Iterable[str], wanted: Iterable[str]) -> list[Model]:
        """The models that read one of `given`, if only through others, and that one of `wanted` reads so."""
        after, before = self._onward(given, self.readers), self._onward(wanted, self._read())
        return [model for model in self.models if model.name in after & before]

    def _read(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, readers in self.readers.items():
            for reader in readers:
                found.setdefault(reader, set()).add(name)
        return found

    @staticmethod
    def _onward(names: Iterable[str], to: Mapping[str, set[str]]) -> set[str]:
        found: set[str] = set()
        more = set(names)
        while more:
            found |= more
            more = set().union(*(to.get(name, set()) for name in more)) - found
        return found


def compiled(folder: Path, **variables: Any) -> Models:
    """Compile them with these variables, for a company with all four silos."""
    given = {"silos": list(SILOS), **variables, "as_of": _AS_OF}
    Dbt(folder)("compile", "--select", *_FOLDERS, "--vars", json.dumps(given))
    manifest = json.loads((folder / "dbt_project" / "manifest.json").read_text(encoding="utf-8"))
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    ordered: list[str] = []
    waiting = dict(nodes)
    while waiting:
        ready = [
            key for key, node in waiting.items() if not waiting.keys() & set(node["depends_on"]["nodes"])
        ]
        ordered += ready
        for key in ready:
            del waiting[key]
    readers: dict[str, set[str]] = {}
    for node in nodes.values():
        for one in node["depends_on"]["nodes"]:
            readers.setdefault(one.split(".")[-1], set()).add(node["name"])
    models = [
        Model(
            node["name"],
            f"{node['schema']}.{node['alias']}",
            node["config"]["materialized"] == "view",
            node["compiled_code"],
        )
        for node in (nodes[key] for key in ordered)
        if node["fqn"][1] in ("core", "marts") and node["language"] == "sql" and node.get("compiled_code")
    ]
    assertions = {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and not node.get("test_metadata") and node.get("compiled_code")
    }
    return Models(models, assertions, readers)


class Memory:
    """A warehouse in memory, which begins as a copy of an empty one."""

    def __init__(self, emptied: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'UTC'")
        self.connection.execute(f"attach '{emptied}' as emptied (read_only)")
        self.connection.execute("attach ':memory:' as warehouse")
        self.connection.execute("copy from database emptied to warehouse")
        self.connection.execute("detach emptied")
        self.connection.execute("use warehouse")

    def load(self, rows: Rows) -> None:
        """Fill tables with these rows and nothing else; columns that a row does not have are NULL."""
        for table, given in rows.items():
            self.connection.execute(f"truncate {table}")
            names = list(dict.fromkeys(name for row in given for name in row))
            if names:
                columns = {
                    name: pa.array([_text(row.get(name)) for row in given], pa.string()) for name in names
                }
                self.connection.register("given", pa.table(columns))
                self.connection.execute(f"insert into {table} by name select * from given")

    def build(self, models: Iterable[Model], as_of: str) -> None:
        """Make the models' tables anew, as of an instant."""
        for model in models:
            kind = "view" if model.is_view else "table"
            query = model.query.replace(_AS_OF, as_of)
            self.connection.execute(f"create or replace {kind} {model.table} as {query}")

    def rows(self, query: str, as_of: str = "") -> list[Any]:
        """What a query answers; a compiled one needs the instant."""
        return self.connection.execute(query.replace(_AS_OF, as_of)).fetchall()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
