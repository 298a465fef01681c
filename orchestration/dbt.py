"""dbt inside the graph: its models as assets, its tests as asset checks."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from orchestration.catalogue_models import Promises, attributes, feeds, promises
from orchestration.dbt_build import build
from orchestration.dbt_manifest import read_manifest
from orchestration.dbt_process import DBT
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from orchestration.gates_process import GATES
from orchestration.keys import raw_key
from orchestration.lineage import read_lineage
from orchestration.steps import POOL, WRITER
from settings.vendors import FILES

#: Silos, identity and core; then, with the gates between, the marts.
FOUNDATION = ("staging", "contract", "identity", "core")
MARTS = ("marts",)


class Translator(DagsterDbtTranslator):
    """dbt's nodes under the graph's keys: `crm/accounts`, `marts/kpi_values`, with what the project says.

    A dbt source stands for every configured source of that vendor, so what reads it depends on the raw tables
    of all of them.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_source_metadata=False))
        self._sources = variables(environment, None)["sources"]
        self._lineage = read_lineage(environment.home)
        self._specs: dict[str, dg.AssetSpec] = {}
        self._promised: dict[str, Promises] | None = None
        self._feeds: dict[str, set[str]] = {}

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and table, as in the warehouse."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["alias"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        """The node with its true upstream tables."""
        if unique_id not in self._specs:
            spec = super().get_asset_spec(manifest, unique_id, project)
            node = self.get_resource_props(manifest, unique_id)
            if node["resource_type"] != "source":
                spec = self._told(manifest, node, spec)
            self._specs[unique_id] = spec
        return self._specs[unique_id]

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """dbt's own; the columns, which know more than their names, are added with the rest."""
        return super().get_metadata({**dbt_resource_props, "columns": {}})

    def _told(self, manifest: Mapping[str, Any], node: Mapping[str, Any], spec: dg.AssetSpec) -> dg.AssetSpec:
        if self._promised is None:
            self._promised, self._feeds = promises(manifest), feeds(manifest)
        key = node["unique_id"]
        about = attributes(node, self._promised.get(key, Promises()), self._feeds[key], self._lineage)
        upstream = [key for one in node["depends_on"]["nodes"] for key in self._keys(manifest, one)]
        return spec.replace_attributes(
            **about | {"metadata": {**spec.metadata, **about["metadata"]}},
            deps=[dg.AssetDep(key) for key in dict.fromkeys(upstream)],
        )

    def _keys(self, manifest: Mapping[str, Any], unique_id: str) -> list[dg.AssetKey]:
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] != "source" or node["source_name"] == "gaps":
            return [self.get_asset_key(node)]
        return source_keys(self._sources, node["source_name"], node["name"])


def source_keys(sources: Sequence[Mapping[str, Any]], vendor: str, table: str) -> list[dg.AssetKey]:
    """The raw tables that a dbt source's table stands for. In: the sources as dbt is told of them."""
    found = []
    for source in sources:
        name = table.removeprefix(f"{source['silo']}__") if vendor == FILES else table
        if source["type"] == vendor and (vendor != FILES or (name != table and name in source["tables"])):
            found.append(raw_key(source["name"], name))
    return found


def used_raw_tables(environment: Environment) -> set[dg.AssetKey]:
    """Raw tables that some model reads."""
    manifest = read_manifest(environment.home)
    sources = variables(environment, None)["sources"]
    used = {one for node in manifest["nodes"].values() for one in node["depends_on"]["nodes"]}
    return {
        key
        for unique_id, source in manifest["sources"].items()
        if unique_id in used
        for key in source_keys(sources, source["source_name"], source["name"])
    }


def build_assets(environment: Environment) -> list[dg.AssetsDefinition]:
    """The two halves of the dbt project, between which the gates stand."""
    manifest = read_manifest(environment.home)
    return [_half(environment, manifest, "models", FOUNDATION), _half(environment, manifest, "marts", MARTS)]


def _half(
    environment: Environment, manifest: Mapping[str, Any], name: str, folders: Sequence[str]
) -> dg.AssetsDefinition:
    translator = Translator(environment)
    # A company of files alone has no staging models.
    present = {node["fqn"][1] for node in manifest["nodes"].values()}

    @dbt_assets(
        manifest=manifest,
        select=" ".join(f"fqn:{folder}" for folder in folders if folder in present),
        name=name,
        dagster_dbt_translator=translator,
        required_resource_keys={WRITER, DBT, GATES},
        pool=POOL,
    )
    def build_half(context: dg.AssetExecutionContext) -> Iterator[Any]:
        if folders is FOUNDATION:
            context.resources.gates.start()
        yield from build(context, environment, manifest, translator, _nodes(manifest, folders))

    return build_half


def _nodes(manifest: Mapping[str, Any], folders: Sequence[str]) -> list[str]:
    """The models of some folders, each after what it reads, and the tests that can run after them."""
    nodes = manifest["nodes"]
    order = TopologicalSorter({name: node["depends_on"]["nodes"] for name, node in nodes.items()})
    half, later = [], set()
    for name in order.static_order():
        if name in nodes and nodes[name]["resource_type"] == "model":
            if nodes[name]["config"]["materialized"] == "ephemeral":
                continue
            if nodes[name]["fqn"][1] in folders:
                half.append(name)
            elif nodes[name]["fqn"][1] in MARTS:
                later.add(name)
    tests = []
    for name, node in nodes.items():
        read = {*node["depends_on"]["nodes"]}
        if node["resource_type"] == "test" and read.intersection(half) and not read & later:
            tests.append(name)
    return half + tests
