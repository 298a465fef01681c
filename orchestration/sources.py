"""`revops sources`: how each configured source is."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime

from ingestion.core import raw_tables
from orchestration import dbt, reading
from orchestration.dbt_manifest import build_manifest
from orchestration.environment import Environment, prepare_folders
from orchestration.keys import raw_key
from orchestration.run import sandbox_running
from settings.config import SourceConfig
from settings.errors import UserError


def describe(environment: Environment) -> list[reading.Row]:
    """One row per configured source: reachable, last load, what is in it, how complete, what is unused."""
    prepare_folders(environment.home)
    rows = []
    with sandbox_running(environment):
        build_manifest(environment)
        used = dbt.used_raw_tables(environment)
        for source in environment.config.sources.values():
            loaded = reading.loads(environment.home, source.name)
            last = loaded["last_load"] if loaded else None
            tables = [table for table in raw_tables(source) if not table.startswith("_")]
            unused = [table for table in tables if raw_key(source.name, table) not in used]
            rows.append(
                {
                    "source": source.name,
                    "silo": source.silo,
                    "type": source.type,
                    "reachable": _reachable(source),
                    "last_load": last,
                    "lag_hours": (datetime.now(UTC) - last).total_seconds() / 3600 if last else None,
                    "rows": loaded["rows"] if loaded else {},
                    "counted": loaded["counted"] if loaded else {},
                    "tables": len(tables),
                    "used_tables": len(tables) - len(unused),
                    "unused_tables": unused,
                }
            )
    return rows


def _reachable(source: SourceConfig) -> str:
    """`yes`, or what keeps it from being reached."""
    try:
        importlib.import_module(f"ingestion.{source.type}").check(source)
    except UserError as exc:
        return str(exc)
    return "yes"
