"""The silo contract as ingestion sees it: tables, columns, types and keys, read from dbt's model files.

dbt_project/models/contract/<silo>/*.yml is the one definition; a model is named `<silo>__<table>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from settings.vendors import LOADER

MODELS = Path(__file__).parent.parent / "dbt_project" / "models" / "contract"

#: Columns every contract table has that the union of all sources fills in, never a source.
FILLED_IN = ("source", "loaded_at")


@dataclass(frozen=True)
class ContractTable:
    """One table of the contract: column -> DuckDB type, and the columns of its key (without `source`)."""

    columns: dict[str, str]
    primary_key: tuple[str, ...]


@cache
def contract() -> dict[str, dict[str, ContractTable]]:
    """Silo -> table -> its columns and key."""
    silos: dict[str, dict[str, ContractTable]] = {}
    for path in sorted(MODELS.glob("*/*.yml")):
        for model in yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER).get("models", []):
            silo, _, table = model["name"].partition("__")
            silos.setdefault(silo, {})[table] = ContractTable(
                {column["name"]: column["data_type"] for column in model["columns"]}, _key(model)
            )
    return silos


def _key(model: dict[str, Any]) -> tuple[str, ...]:
    meta = model.get("config", {}).get("meta", {}) | model.get("meta", {})
    key = [column for column in meta["primary_key"] if column not in FILLED_IN]
    return tuple(key)
