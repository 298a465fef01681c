"""Builds what is stale of a half of the dbt project; what its tables hold becomes metadata of the assets."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator
from dagster_dbt.asset_utils import get_asset_check_key_for_test
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration import relations, unchanged
from orchestration.dbt_process import DbtProcess
from orchestration.environment import Environment
from orchestration.steps import instant_of
from settings.errors import UserError

#: How a step's log says that a model is built.
BUILT = "built "
BUILT_KINDS = ("model", "test")  # unit tests are of the models, not the data: `make test` runs them


def build(
    context: dg.AssetExecutionContext,
    environment: Environment,
    manifest: Mapping[str, Any],
    translator: DagsterDbtTranslator,
    nodes: Collection[str],
) -> Iterator[Any]:
    """Run dbt on those of `nodes` (models and tests by dbt's unique ids) that are stale; yields every model.

    A run that is asked for some models only builds what else is stale all the same, or they would be of
    another instant than what they are made of.

    Raises `UserError` if a model cannot be built or a test fails; then no model is an output, as what is made
    of this half must not run, and what was built is in the history all the same.
    """
    home, dbt = environment.home, context.resources.dbt
    instant = instant_of(context, environment)
    fingerprints, stale = unchanged.find(environment, manifest, nodes, instant)
    if unchanged.REBUILD_TAG in context.run.tags:
        stale = {*nodes}
    unchanged.forget(home, stale)
    (home.dbt / "run_results.json").unlink(missing_ok=True)
    built: dict[str, Mapping[str, Any]] = {}
    verdicts: list[Any] = []
    for event in _events(dbt, manifest, stale):
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        for one in message.to_default_asset_events(manifest, translator, context, home.dbt):
            if isinstance(one, dg.Output):
                built[event["data"]["node_info"]["unique_id"]] = one.metadata
                context.log.info(BUILT + one.output_name.replace("__", ".", 1))
            else:
                verdicts.append(one)
    is_good = not stale or dbt.succeeded
    # Only now: while dbt is at work, it has the warehouse to itself.
    models = [one for one in nodes if manifest["nodes"][one]["resource_type"] == "model"]
    described = relations.describe(home, [manifest["nodes"][one] for one in models])
    for model, found in zip(models, described, strict=True):
        key = translator.get_asset_key(manifest["nodes"][model])
        if is_good and key in context.selected_asset_keys:
            metadata = {**built.get(model, {"status": "unchanged"}), **found}
            version = dg.DataVersion(fingerprints[model])
            yield dg.MaterializeResult(asset_key=key, metadata=metadata, data_version=version)
        elif model in built:
            context.log_event(dg.AssetMaterialization(key, metadata={**built[model], **found}))
    yield from verdicts
    if not is_good:
        raise UserError(_failure(context.op.name, home.dbt, manifest, dbt.errors))
    for test in sorted({*nodes} - stale - {*models}):
        check = get_asset_check_key_for_test(manifest, translator, test, project=None)
        if check is not None and check in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                passed=True,
                asset_key=check.asset_key,
                check_name=check.name,
                metadata={"status": "unchanged"},
            )
    unchanged.remember(home, fingerprints, instant)


def _events(dbt: DbtProcess, manifest: Mapping[str, Any], stale: Collection[str]) -> Iterator[dict[str, Any]]:
    """What dbt says while it builds these nodes."""
    if not stale:
        return
    kinds = [word for kind in BUILT_KINDS for word in ("--resource-type", kind)]
    yield from dbt.run(["build", *kinds, "--indirect-selection", "empty", *_selection(manifest, stale)])


def _selection(manifest: Mapping[str, Any], stale: Collection[str]) -> list[str]:
    """What names these nodes to dbt: folders, if mostly stale, as dbt looks at all nodes for each name."""
    by_folder: dict[str, dict[str, str]] = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] in BUILT_KINDS:
            by_folder.setdefault(node["fqn"][1], {})[unique_id] = node["name"]
    selected, excluded = [], []
    for folder, names in by_folder.items():
        listed = sorted(name for one, name in names.items() if one in stale)
        others = sorted(name for one, name in names.items() if one not in stale)
        if len(listed) > len(others):
            selected.append(f"fqn:{folder}")
            excluded += others
        else:
            selected += listed
    return ["--select", *selected, *(["--exclude", *excluded] if excluded else [])]


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
