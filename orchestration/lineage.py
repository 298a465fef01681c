"""Column lineage of the dbt models: worked out before the UI starts, kept beside the manifest, read with
the graph.

A file of JSON, `lineage.json`: the fingerprint of the manifest it belongs to, and of each table of the
project the columns it is made of. It is never worked out when Dagster loads the code, nor in a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingestion.core import ADDED, raw_tables
from orchestration.dbt_manifest import dbt_environment, manifest_file, read_manifest
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from settings.errors import UserError
from settings.paths import DBT_PROJECT, Home

#: Told how many models of how many are read.
Watcher = Callable[[int, int], None]


@dataclass
class Lineage:
    """By table ("core.opportunities") and column: its type, and the tables and columns it is made of."""

    made_of: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    types: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Coverage:
    """How much of the SQL could be read: columns of SQL models, and models that are linked by table only."""

    read: int = 0
    columns: int = 0
    models: int = 0
    by_table: dict[str, str] = field(default_factory=dict)  # model -> why its columns are not linked

    @property
    def share(self) -> float:
        """Of the columns of all SQL models, those whose origin is known."""
        return self.read / self.columns if self.columns else 1.0

    def summary(self) -> str:
        """In one line, for who starts the UI."""
        by_table = f"; by table only: {', '.join(sorted(self.by_table))}" if self.by_table else ""
        return f"Column lineage: {self.read} of {self.columns} columns of SQL models{by_table}"


def lineage_file(home: Home) -> Path:
    """Where the lineage of the present manifest lies."""
    return manifest_file(home).with_name("lineage.json")


def build_lineage(environment: Environment, watch: Watcher = lambda done, of: None) -> Coverage:
    """Make the column lineage what the manifest says; costs nothing if it is so already.

    Out: how much of it is known. Raises `UserError` if there is no manifest, or dbt cannot compile the
    project.
    """
    path, fingerprint = lineage_file(environment.home), _fingerprint(environment.home)
    kept = _read(path)
    if kept is not None and kept["fingerprint"] == fingerprint:
        return Coverage(**kept["coverage"])
    coverage, lineage = _work_out(environment, watch)
    whole = {"fingerprint": fingerprint, "coverage": asdict(coverage), "lineage": asdict(lineage)}
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(whole), encoding="utf-8")
    os.replace(part, path)  # noqa: PTH105
    return coverage


def read_lineage(home: Home) -> Lineage:
    """The lineage of the present manifest; an empty one if it has not been worked out."""
    kept = _read(lineage_file(home))
    if kept is None or kept["fingerprint"] != _fingerprint(home):
        return Lineage()
    return Lineage(**kept["lineage"])


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def _fingerprint(home: Home) -> str:
    """Of the manifest, and of what reads the SQL."""
    stamp = manifest_file(home).with_name("fingerprint")
    digest = hashlib.sha256(stamp.read_bytes() if stamp.exists() else b"")
    digest.update(version("sqlglot").encode())
    for path in sorted(Path(__file__).parent.glob("lineage*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _work_out(environment: Environment, watch: Watcher) -> tuple[Coverage, Lineage]:
    import duckdb
    from sqlglot.errors import SqlglotError

    from orchestration.lineage_sql import columns_of
    from orchestration.lineage_types import add_table, described, empty_warehouse

    manifest = read_manifest(environment.home)
    compiled = _compiled(environment)
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    upstream = {key: set(node["depends_on"]["nodes"]) & models.keys() for key, node in models.items()}
    lineage, coverage = Lineage(), Coverage(models=len(models))
    outside = _tables_outside(environment, manifest)
    tables: dict[str, Collection[str]] = dict(outside)
    with empty_warehouse(next(iter(models.values()))["database"]) as warehouse:
        for table, columns in outside.items():
            add_table(warehouse, table, columns)
        for done, key in enumerate(TopologicalSorter(upstream).static_order()):
            watch(done, len(models))
            node = models[key]
            table, sql = f"{node['schema']}.{node['alias']}", compiled.get(key)
            declared = {column: about["data_type"] or "varchar" for column, about in node["columns"].items()}
            try:
                types = declared if sql is None else described(warehouse, sql)
                add_table(warehouse, table, types)
            except duckdb.Error as exc:
                coverage.by_table[node["name"]] = str(exc)
                types = declared
            tables[table] = lineage.types[table] = types
            if sql is None:
                coverage.by_table[node["name"]] = "not SQL"
                continue
            coverage.columns += len(types)
            try:
                lineage.made_of[table] = _made_of(columns_of(sql, tables), types)
                coverage.read += len(types)
            except SqlglotError as exc:
                coverage.by_table[node["name"]] = str(exc)
    watch(len(models), len(models))
    return coverage, lineage


def _made_of(
    columns: Mapping[str, Iterable[tuple[str, str]]], types: Mapping[str, str]
) -> dict[str, list[tuple[str, str]]]:
    """Each column that DuckDB says there is. Raises `SqlglotError` if the SQL was read otherwise."""
    from sqlglot.errors import SqlglotError

    missing = {name.lower() for name in types} ^ columns.keys()
    if missing:
        raise SqlglotError(f"read with other columns than it has: {', '.join(sorted(missing))}")
    return {name: sorted(columns[name.lower()]) for name in types}


def _tables_outside(environment: Environment, manifest: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The columns, and their types, of what is no model: raw tables, and what the gates write."""
    from orchestration.lineage_types import RAW_TYPES

    found = {
        f"{source['schema']}.{source['name']}": {
            name: about["data_type"] for name, about in source["columns"].items()
        }
        for source in manifest["sources"].values()
        if source["columns"]
    }
    for config in environment.config.sources.values():
        for name, table in raw_tables(config).items():
            kinds = {**table.columns, **ADDED}
            found[f"raw_{config.name}.{name}"] = {column: RAW_TYPES[kind] for column, kind in kinds.items()}
    return found


def _compiled(environment: Environment) -> dict[str, str]:
    parsed = manifest_file(environment.home).with_name("partial_parse.msgpack")
    command = [
        sys.executable,
        "-m",
        "orchestration.lineage_compile",
        json.dumps(variables(environment, None)),
    ]
    kept = {"DBT_PARTIAL_PARSE_FILE_PATH": str(parsed)}
    done = subprocess.run(
        command, cwd=DBT_PROJECT, env=dbt_environment() | kept, capture_output=True, text=True
    )
    if done.returncode:
        raise UserError(f"the dbt project cannot be compiled:\n{done.stderr.strip() or done.stdout.strip()}")
    compiled: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return compiled
