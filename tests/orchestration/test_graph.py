"""Dagster's graph: from each system to the published marts, without a gap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from revops import ROOT

from expectations.catalogue import GATES
from orchestration.dbt_manifest import build_manifest
from orchestration.definitions import build
from orchestration.environment import Environment, prepare_folders
from orchestration.keys import PUBLISHED, REGISTER, api_key, raw_key
from orchestration.triggers import HOURLY_JOB, JOB
from sandbox.files import write_finance
from sandbox.simulation import simulate

TWO_CRMS = """
[sources.hubspot]
silo = "crm"
type = "hubspot"
base_url = "http://127.0.0.1:1/hubspot"

[sources.hubspot_us]
silo = "crm"
type = "hubspot"
base_url = "http://127.0.0.1:1/hubspot"

[sources.legacy]
silo = "crm"
type = "files"
mapping = "legacy.toml"
"""
MAPPING = """
[files]
accounts = "accounts.csv"

[tables.accounts]
from = "accounts"
[tables.accounts.columns]
account_id = "id"
"""


def defined(environment: Environment) -> dg.Definitions:
    prepare_folders(environment.home)
    build_manifest(environment)
    return build(environment)


@pytest.fixture(scope="module")
def sandbox(load: Callable[[Path], Environment]) -> dg.Definitions:
    environment = load(ROOT / "revops.toml")
    write_finance(simulate(size=20, months=2), environment.home.sandbox / "finance")
    return defined(environment)


def upstream(graph: dg.AssetGraph, key: dg.AssetKey) -> set[dg.AssetKey]:
    """Everything an asset is made of."""
    found: set[dg.AssetKey] = set()
    todo = [key]
    while todo:
        for parent in graph.get(todo.pop()).parent_keys - found:
            found.add(parent)
            todo.append(parent)
    return found


def test_lineage_runs_unbroken_from_each_system_to_the_published_marts(sandbox: dg.Definitions) -> None:
    graph = sandbox.resolve_asset_graph()
    systems = {api_key(source) for source in ("hubspot", "mailshake", "stripe", "finance")}
    assert graph.external_asset_keys == systems
    assert systems <= upstream(graph, PUBLISHED)
    rootless = {key for key in graph.materializable_asset_keys if not upstream(graph, key) & systems}
    # Definitions are ours, decisions are a file of the company's; and no configured CRM has campaigns, whose
    # contract tables are there and empty.
    assert {"/".join(key.path) for key in rootless} == {
        *("marts/kpi_definitions", "marts/kpi_policies", "identity/overrides"),
        *("crm/campaigns", "crm/campaign_members"),
    }
    assert {raw_key("hubspot", "deals"), dg.AssetKey(["core", "mrr_monthly"]), REGISTER} <= upstream(
        graph, dg.AssetKey(["marts", "kpi_values"])
    )
    assert api_key("hubspot") not in upstream(graph, dg.AssetKey(["billing", "invoices"]))


def test_gates_and_dbt_tests_are_asset_checks(sandbox: dg.Definitions) -> None:
    graph = sandbox.resolve_asset_graph()
    checks = {key.name: key.asset_key for key in graph.asset_check_keys}
    assert {gate.gap_type for gate in GATES} <= checks.keys()
    assert checks["published"] == PUBLISHED
    tested = {key.asset_key.path[0] for key in graph.asset_check_keys}
    assert {"crm", "email", "billing", "finance", "identity", "core", "marts", "gaps"} <= tested


def test_everything_is_built_daily_and_what_email_and_billing_bring_by_the_hour(
    sandbox: dg.Definitions,
) -> None:
    repository = sandbox.get_repository_def()
    graph = sandbox.resolve_asset_graph()
    by_month = {key for key in graph.materializable_asset_keys if graph.get(key).partitions_def}
    assert {raw_key("stripe", "invoices"), raw_key("mailshake", "opens")} <= by_month
    chosen = {name: {*repository.get_job(name).asset_layer.selected_asset_keys} for name in (JOB, HOURLY_JOB)}
    assert chosen[JOB] == graph.materializable_asset_keys - by_month
    left = {key.path[0] for key in chosen[JOB] - chosen[HOURLY_JOB]}
    assert left == {"raw_hubspot", "raw_finance"}
    schedules = {one.name: (one.job_name, one.cron_schedule) for one in repository.schedule_defs}
    assert schedules == {"daily": (JOB, "0 5 * * *"), "hourly": (HOURLY_JOB, "30 * * * *")}


def test_a_silo_with_several_sources_depends_on_all_of_them(
    load: Callable[[Path], Environment], tmp_path: Path
) -> None:
    (tmp_path / "revops.toml").write_text(TWO_CRMS)
    (tmp_path / "legacy.toml").write_text(MAPPING)
    (tmp_path / "accounts.csv").write_text("id\n1\n")
    graph = defined(load(tmp_path / "revops.toml")).resolve_asset_graph()
    made_of = upstream(graph, dg.AssetKey(["crm", "accounts"]))
    assert {api_key("hubspot"), api_key("hubspot_us"), api_key("legacy")} <= made_of
    assert raw_key("legacy", "accounts") in made_of
    assert api_key("legacy") not in upstream(graph, dg.AssetKey(["crm", "contacts"]))


def test_dagster_has_one_writer_and_no_telemetry(load: Callable[[Path], Environment]) -> None:
    environment = load(ROOT / "revops.toml")
    prepare_folders(environment.home)
    with dg.DagsterInstance.from_config(str(environment.home.dagster)) as instance:
        assert not instance.telemetry_enabled
        assert instance.global_op_concurrency_default_limit == 1
        assert instance.run_monitoring_enabled
