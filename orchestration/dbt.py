"""dbt inside the graph: its models as assets, its tests as asset checks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration.catalogue_models import Promises, attributes, feeds, promises
from orchestration.dbt_manifest import read_manifest
from orchestration.dbt_process import DBT, DbtProcess
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from orchestration.keys import raw_key
from orchestration.lineage import read_lineage
from orchestration.steps import POOL, WRITER
from settings.errors import UserError
from settings.vendors import FILES

#: Silos, identity and core; then, with the gates between, the marts.
FOUNDATION = ("staging", "contract", "identity", "core")
MARTS = ("marts",)
UNIT_TESTS = "unit_test"  # they test the models, not the data: `make test` runs them


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
    return [
        # A test that also reads a mart waits for the second half.
        _half(environment, manifest, "models", FOUNDATION, "cautious"),
        _half(environment, manifest, "marts", MARTS, "eager"),
    ]


def _half(
    environment: Environment, manifest: Mapping[str, Any], name: str, folders: Sequence[str], tests: str
) -> dg.AssetsDefinition:
    translator = Translator(environment)
    # A company of files alone has no staging models.
    present = {node["fqn"][1] for node in manifest["nodes"].values()}
    select = [f"fqn:{folder}" for folder in folders if folder in present]

    @dbt_assets(
        manifest=manifest,
        select=" ".join(select),
        name=name,
        dagster_dbt_translator=translator,
        required_resource_keys={WRITER, DBT},
        pool=POOL,
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[Any]:
        dbt: DbtProcess = context.resources.dbt
        target = environment.home.dbt
        (target / "run_results.json").unlink(missing_ok=True)
        command = ["build", "--exclude-resource-type", UNIT_TESTS, "--indirect-selection", tests]
        for event in dbt.run([*command, "--select", *select]):
            message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
            yield from message.to_default_asset_events(manifest, translator, context, target)
        if not dbt.succeeded:
            raise UserError(_failure(name, target, manifest, dbt.errors))

    return build


def _failure(name: str, target: Path, manifest: Mapping[str, Any], errors: Sequence[str]) -> str:
    """Which models and tests went wrong, and what the database said."""
    results = target / "run_results.json"
    found = []
    if results.exists():
        for result in json.loads(results.read_text(encoding="utf-8"))["results"]:
            if result["status"] in ("error", "fail"):
                node = manifest["nodes"].get(result["unique_id"], {})
                where = node.get("original_file_path", result["unique_id"])
                said = " ".join((result["message"] or "").split())
                found.append(f"  - {node.get('name', result['unique_id'])} ({where}): {said}")
    listed = "\n".join(found or [f"  - {error}" for error in errors] or ["  - dbt ended without a word"])
    return (
        f"dbt could not build the {name}; the published marts are as they were:\n{listed}\n"
        "A failed test means the data breaks a model's rule: mend the data or the model, and run again"
    )
