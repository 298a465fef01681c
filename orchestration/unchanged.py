"""Which of dbt's models and tests need not run: all that they are made of is what it was when they last did.

A node's fingerprint is that of the whole project (its code, revops.toml, the decisions on who is who), of the
run's instant if its SQL asks for it, and of everything upstream, down to the content of the raw tables. It is
known before anything is built. What was built is remembered in a file beside dbt's own; a table that is not
in the warehouse was not built, whatever the file says.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb

from orchestration.dbt_manifest import manifest_fingerprint
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from orchestration.reading import open_warehouse
from settings.paths import PROJECT, Home

#: A run with this tag builds every model, whether anything it is made of has changed or not.
REBUILD_TAG = "revops/rebuild"

#: The instant that was built for last, among the fingerprints.
_FOR = "instant"
#: Where the instant of a run comes from, in SQL and in Python models.
_INSTANT = re.compile(r"\bas_of\b")


def find(
    environment: Environment, manifest: Mapping[str, Any], wanted: Iterable[str], instant: datetime
) -> tuple[dict[str, str], set[str]]:
    """Fingerprints of the models and tests `wanted` (dbt's unique ids), and those of them that must run.

    In: `instant`, what the run is for. Nothing else writes the warehouse meanwhile.
    """
    home = environment.home
    with open_warehouse(home) as warehouse:
        contents = _Contents(environment, warehouse)
        found = _fingerprints(environment, manifest, instant, contents)
    known = _read(home)
    fingerprints = {name: found[name] for name in wanted}
    stale = {
        name
        for name, value in fingerprints.items()
        if known.get(name) != value or not contents.has(manifest["nodes"][name])
    }
    return fingerprints, stale


def forget(home: Home, nodes: Iterable[str]) -> None:
    """These are about to be built; if that is interrupted, nobody knows what they are."""
    gone = {*nodes}
    _write(home, {name: value for name, value in _read(home).items() if name not in gone})


def remember(home: Home, fingerprints: Mapping[str, str], instant: datetime) -> None:
    """These were built, or passed, of this, for this instant."""
    _write(home, {**_read(home), **fingerprints, _FOR: instant.isoformat()})


def is_likely(home: Home, instant: datetime) -> bool:
    """Whether a run for this instant may find that nothing is stale: the last one was for it, too."""
    return _read(home).get(_FOR) == instant.isoformat()


def _fingerprints(
    environment: Environment, manifest: Mapping[str, Any], instant: datetime, contents: _Contents
) -> dict[str, str]:
    nodes = manifest["nodes"]
    project = _digest(manifest_fingerprint(environment.home), _outside(environment))
    asks = _asking_for_the_instant(manifest)
    found: dict[str, str] = {}

    def of(name: str) -> str:
        if name in found:
            return found[name]
        if name in manifest["sources"]:
            source = manifest["sources"][name]
            found[name] = contents.of(source["source_name"], source["schema"], source["name"])
            return found[name]
        node = nodes[name]
        parts = [name, project, *(of(one) for one in sorted(node["depends_on"]["nodes"]))]
        if asks(node):
            parts.append(instant.isoformat())
        found[name] = _digest(*parts)
        return found[name]

    return {name: of(name) for name, node in nodes.items() if node["resource_type"] in ("model", "test")}


def _asking_for_the_instant(manifest: Mapping[str, Any]) -> Any:
    """Tells of a node whether its SQL, or a macro it may call, asks for the run's instant."""
    macros = {one["name"]: one["macro_sql"] for one in manifest["macros"].values()}
    tainted = {name for name, sql in macros.items() if _INSTANT.search(sql)}
    while True:
        calls = re.compile(rf"\b({'|'.join(sorted(map(re.escape, tainted)))})\b")
        more = {name for name, sql in macros.items() if name not in tainted and calls.search(sql)}
        if not more:
            break
        tainted |= more

    def asks(node: Mapping[str, Any]) -> bool:
        kind = node["config"]["materialized"]
        used = {one.rsplit(".", 1)[-1] for one in node["depends_on"]["macros"]}
        used |= {f"materialization_{kind}_default", f"materialization_{kind}_duckdb"}
        return bool(_INSTANT.search(node["raw_code"]) or used & tainted or calls.search(node["raw_code"]))

    return asks


def _outside(environment: Environment) -> str:
    """What models are made of besides: our code and libraries for them, and decisions on who is who."""
    files = [*sorted((PROJECT / "identity").glob("*.py")), PROJECT / "requirements.lock"]
    overrides = environment.config.company.identity_overrides
    if overrides is not None:
        files.append(overrides)
    return _digest(*(file.read_bytes() for file in files))


class _Contents:
    """What stands in the warehouse's tables, as one text each."""

    def __init__(self, environment: Environment, warehouse: duckdb.DuckDBPyConnection) -> None:
        self._sources = variables(environment, None)["sources"]
        self._warehouse = warehouse
        self._columns: dict[tuple[str, str], list[str]] = {}
        listed = "select schema_name, table_name, list(column_name || ' ' || data_type) from duckdb_columns()"
        for schema, table, columns in warehouse.execute(f"{listed} group by all").fetchall():
            self._columns[schema, table] = columns

    def has(self, node: Mapping[str, Any]) -> bool:
        """Whether a model's table or view is there; a test has none."""
        return node["resource_type"] == "test" or (node["schema"], node["alias"]) in self._columns

    def of(self, vendor: str, schema: str, table: str) -> str:
        """A dbt source's table: one table, or those of all configured sources of a vendor."""
        from orchestration.dbt import source_keys

        keys = source_keys(self._sources, vendor, table)
        places = [(key.path[0], key.path[1]) for key in keys] or [(schema, table)]
        return _digest(*(f"{'.'.join(place)} {self._content(place)}" for place in places))

    def _content(self, place: tuple[str, str]) -> str:
        columns = self._columns.get(place)
        if columns is None:
            return "absent"
        name = ".".join(f'"{part}"' for part in place)
        query = f"select count(*), sum(hash(rows)) from {name} as rows"  # noqa: S608
        return f"{sorted(columns)} {self._warehouse.execute(query).fetchone()}"


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part if isinstance(part, bytes) else part.encode()).digest())
    return digest.hexdigest()


def _read(home: Home) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(home.built.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _write(home: Home, fingerprints: Mapping[str, str]) -> None:
    part = home.built.with_suffix(".part")
    part.write_text(json.dumps(fingerprints, indent=0), encoding="utf-8")
    os.replace(part, home.built)  # noqa: PTH105
