"""What the catalogue says of dbt models, out of dbt's manifest: owner, group, description, columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from orchestration.catalogue import SILOS, column_entries, described_column, group, owners, tags
from orchestration.lineage import Lineage
from settings.vendors import vendors

#: dbt's folders of models, in the order of the data.
STAGING, CONTRACT, MARTS = "staging", "contract", "marts"


@dataclass
class Promises:
    """What dbt's tests promise of a model."""

    not_null: set[str] = field(default_factory=set)
    allowed: dict[str, list[str]] = field(default_factory=dict)
    grain: list[str] = field(default_factory=list)


def promises(manifest: Mapping[str, Any]) -> dict[str, Promises]:
    """By model, what its generic tests promise."""
    found: dict[str, Promises] = {}
    for node in manifest["nodes"].values():
        about = node.get("test_metadata")
        if about is None or not node.get("attached_node"):
            continue
        model = found.setdefault(node["attached_node"], Promises())
        if about["name"] == "not_null":
            model.not_null.add(node["column_name"])
        elif about["name"] == "accepted_values":
            model.allowed[node["column_name"]] = [str(value) for value in about["kwargs"]["values"]]
        elif about["name"] == "unique_grain":
            model.grain = [str(column) for column in about["kwargs"]["columns"]]
    return found


def feeds(manifest: Mapping[str, Any]) -> dict[str, set[str]]:
    """By model, the marts that are made of it, at whatever distance."""
    models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    found: dict[str, set[str]] = {}

    def reached(key: str) -> set[str]:
        if key not in found:
            below = [one for one in manifest["child_map"][key] if one in models]
            found[key] = {models[one]["alias"] for one in below if _is_mart(models[one])}
            found[key] |= {mart for one in below for mart in reached(one)}
        return found[key]

    for key in models:
        reached(key)
    return found


def _is_mart(node: Mapping[str, Any]) -> bool:
    return bool(node["schema"] == MARTS)


def attributes(
    node: Mapping[str, Any], promised: Promises, marts: set[str], lineage: Lineage
) -> dict[str, Any]:
    """Of a model, what `AssetSpec` takes. Raises KeyError where the project names no owner team."""
    layer, silo, vendor = _place(node)
    part = node["fqn"][2] if _is_mart(node) else silo
    return {
        "description": _description(node, marts),
        "group_name": group(layer, part),
        "owners": owners(node["meta"]["owner_team"]),
        "tags": tags(layer, silo, vendor),
        "kinds": {"dbt", "duckdb", _kind(node)},
        "metadata": _columns(node, promised, lineage),
    }


def _place(node: Mapping[str, Any]) -> tuple[str, str | None, str | None]:
    """Layer, and where it has one the silo and the vendor."""
    if node["fqn"][1] == STAGING:
        return STAGING, vendors()[node["fqn"][2]], node["fqn"][2]
    if node["schema"] in SILOS:
        return CONTRACT, node["schema"], None
    return node["schema"], None, None


def _kind(node: Mapping[str, Any]) -> str:
    if node["language"] == "python":
        return "python"
    return "view" if node["config"]["materialized"] == "view" else "table"


def _description(node: Mapping[str, Any], marts: set[str]) -> str:
    said = [" ".join(node["description"].split())]
    if node["meta"].get("read_by"):
        said.append(f"**Read by** {node['meta']['read_by']}")
    if marts:
        links = [f"[{mart}](/assets/{MARTS}/{mart})" for mart in sorted(marts)]
        said.append(f"**Feeds the marts** {', '.join(links)}.")
    said.append(f"```{node['language']}\n{node['raw_code'].strip()}\n```")
    return "\n\n".join(said)


def _columns(node: Mapping[str, Any], promised: Promises, lineage: Lineage) -> dict[str, Any]:
    """As declared, and where the project declares none as they are in its SQL."""
    table = f"{node['schema']}.{node['alias']}"
    types, known = lineage.types.get(table, {}), lineage.made_of.get(table, {})
    made_of = {
        column: [(dg.AssetKey(its.split(".")), name) for its, name in upstream]
        for column, upstream in known.items()
    }
    columns = []
    for name in dict.fromkeys([*node["columns"], *types]):
        declared = node["columns"].get(name, {})
        rules = [f"one of: {', '.join(promised.allowed[name])}"] if name in promised.allowed else []
        columns.append(
            described_column(
                name,
                types.get(name) or declared.get("data_type") or "?",
                declared.get("description", ""),
                made_of.get(name, ()),
                nullable=name not in promised.not_null,
                unique=promised.grain == [name],
                rules=rules,
            )
        )
    grain = [f"one row per {', '.join(promised.grain)}"] if len(promised.grain) > 1 else []
    return column_entries(columns, grain, made_of) if columns else {}


def source_columns(manifest: Mapping[str, Any], schema: str, table: str) -> dict[str, Any]:
    """The columns of a table that dbt reads and another step of ours writes, as metadata of its asset."""
    for source in manifest["sources"].values():
        if (source["schema"], source["name"]) == (schema, table):
            columns = [
                described_column(column["name"], column["data_type"] or "?", column["description"], ())
                for column in source["columns"].values()
            ]
            return column_entries(columns, [], {})
    return {}
