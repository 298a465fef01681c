"""Dagster's graph: from each system to the published marts, without a gap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from revops import ROOT

from expectations.catalogue import GATES
from ingestion.contract import contract
from ingestion.core import raw_tables
from orchestration.catalogue import DATA_ENGINEERING, LAYER, SILO, VENDOR, owners
from orchestration.dbt_manifest import build_manifest, manifest_file
from orchestration.dbt_variables import variables
from orchestration.definitions import build
from orchestration.environment import Environment, prepare_folders
from orchestration.keys import PUBLISHED, REGISTER, api_key, raw_key
from orchestration.lineage import Lineage, build_lineage, lineage_file, read_lineage
from orchestration.triggers import HOURLY_JOB, JOB
from sandbox.files import write_finance
from sandbox.simulation import simulate
from settings.paths import DBT_PROJECT

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


@dataclass(frozen=True)
class Company:
    """The default company's graph, with the column lineage that `revops ui` works out."""

    environment: Environment
    sources: list[dict[str, Any]]
    definitions: dg.Definitions


@pytest.fixture(scope="module")
def company(load: Callable[[Path], Environment]) -> Company:
    environment = load(ROOT / "revops.toml")
    write_finance(simulate(size=20, months=2), environment.home.sandbox / "finance")
    prepare_folders(environment.home)
    build_manifest(environment)
    build_lineage(environment)
    return Company(environment, variables(environment, None)["sources"], build(environment))


@pytest.fixture(scope="module")
def sandbox(company: Company) -> dg.Definitions:
    return company.definitions


def specs(definitions: dg.Definitions) -> dict[dg.AssetKey, dg.AssetSpec]:
    """Everything in the graph, systems outside included."""
    return {spec.key: spec for spec in definitions.resolve_all_asset_specs()}


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
    assert graph.external_asset_keys <= upstream(graph, PUBLISHED)


def test_dagster_has_one_writer_and_no_telemetry(load: Callable[[Path], Environment]) -> None:
    environment = load(ROOT / "revops.toml")
    prepare_folders(environment.home)
    with dg.DagsterInstance.from_config(str(environment.home.dagster)) as instance:
        assert not instance.telemetry_enabled
        assert instance.global_op_concurrency_default_limit == 1
        assert instance.run_monitoring_enabled


def test_every_asset_says_whose_it_is_what_it_is_and_where_it_belongs(sandbox: dg.Definitions) -> None:
    dictionary = (DBT_PROJECT / "models" / "marts" / "kpis" / "marts__kpi_definitions.sql").read_text()
    teams = {gate.owner_team for gate in GATES} | set(re.findall(r"'(?:up|down)', '([a-z ]+)'", dictionary))
    known = {owner for team in (*teams, DATA_ENGINEERING) for owner in owners(team)}
    wrong: dict[str, list[str]] = {}
    for key, spec in specs(sandbox).items():
        lacks = {
            "an owner that the gates or the KPIs know": bool(spec.owners) and set(spec.owners) <= known,
            "a description": len(spec.description or "") > 30
            and not (spec.description or "").startswith("dbt "),
            "a group": spec.group_name not in (None, "default"),
            "a kind": bool(spec.kinds),
            "a layer": LAYER in spec.tags,
        }
        if missing := [what for what, is_there in lacks.items() if not is_there]:
            wrong["/".join(key.path)] = missing
    assert not wrong
    told = specs(sandbox)
    assert (
        told[raw_key("hubspot", "deals")].tags.items()
        >= {LAYER: "raw", SILO: "crm", VENDOR: "hubspot"}.items()
    )
    assert told[dg.AssetKey(["crm", "opportunities"])].owners == ["team:sales_ops"]
    assert told[dg.AssetKey(["marts", "renewals"])].owners == ["team:customer_success"]
    assert told[dg.AssetKey(["marts", "renewals"])].group_name == "marts_revenue"


def test_a_system_is_described_without_the_secrets_of_its_address(
    load: Callable[[Path], Environment], tmp_path: Path
) -> None:
    (tmp_path / "revops.toml").write_text(
        '[sources.crm]\nsilo = "crm"\ntype = "hubspot"\n'
        'base_url = "https://somebody:hunter2@crm.example/api?key=hunter2"\n'
    )
    spec = specs(defined(load(tmp_path / "revops.toml")))[api_key("crm")]
    assert "https://crm.example/api" in (spec.description or "")
    assert "hunter2" not in repr(spec)


def test_the_daily_run_makes_every_mart(sandbox: dg.Definitions) -> None:
    repository = sandbox.get_repository_def()
    (daily,) = [schedule for schedule in repository.schedule_defs if schedule.name == "daily"]
    made = set(repository.get_job(daily.job_name).asset_layer.selected_asset_keys)
    models = (DBT_PROJECT / "models" / "marts").glob("*/marts__*.sql")
    marts = {dg.AssetKey(["marts", path.stem.removeprefix("marts__")]) for path in models}
    assert len(marts) > 20
    assert marts <= made
    assert marts <= upstream(sandbox.resolve_asset_graph(), PUBLISHED)


def test_every_contract_table_is_fed_by_what_is_configured_to_fill_it(
    company: Company,
) -> None:
    graph = company.definitions.resolve_asset_graph()
    filled = {
        (source["silo"], table): source["name"] for source in company.sources for table in source["tables"]
    }
    fed = {}
    for silo, tables in contract().items():
        for table in tables:
            made_of = upstream(graph, dg.AssetKey([silo, table]))
            fed[silo, table] = {key.path[1] for key in made_of if key in graph.external_asset_keys}
    assert {table: {source} for table, source in filled.items()} == {
        table: systems for table, systems in fed.items() if systems
    }
    for source in (company.environment.config.sources[name] for name in ("hubspot", "mailshake", "stripe")):
        for name, raw in raw_tables(source).items():
            for table in raw.fills:
                assert raw_key(source.name, name) in upstream(graph, dg.AssetKey([source.silo, table]))


def columns(definitions: dg.Definitions) -> Iterator[tuple[dg.AssetSpec, dg.TableColumn]]:
    """Every column that the catalogue shows."""
    for spec in specs(definitions).values():
        schema = spec.metadata.get("dagster/column_schema")
        for column in schema.columns if isinstance(schema, dg.TableSchema) else ():
            yield spec, column


def made_of(definitions: dg.Definitions) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Asset and column -> the assets and columns that it is made of."""
    found = {}
    for spec in specs(definitions).values():
        lineage = spec.metadata.get("dagster/column_lineage")
        if isinstance(lineage, dg.TableColumnLineage):
            for column, deps in lineage.deps_by_column.items():
                upstream = {("/".join(dep.asset_key.path), dep.column_name) for dep in deps}
                found["/".join(spec.key.path), column] = upstream
    return found


#: Columns of marts that no table upstream has a part in: they are written in the model.
CONSTANTS = {
    *(f"kpi_definitions.{name}" for name in ("kpi", "formula", "unit", "better", "owner_team", "policies")),
    *(f"kpi_definitions.{name}" for name in ("definition_source", "silos", "is_headline", "position")),
    *(
        f"kpi_definitions.{name}"
        for name in ("subject", "records", "made_of", "periods", "segments", "coverage")
    ),
    *(f"kpi_policies.{name}" for name in ("policy", "subject", "rule", "settings")),
    *(f"source_freshness.{name}" for name in ("source", "silo", "table_name")),
    *(f"funnel_conversion.{name}" for name in ("segment", "stage", "position")),
    *("arr_bridge_by_segment.segment", "pipeline_waterfall.segment", "kpi_values.kpi"),
    *("attribution.model", "channel_performance.leads", "forecasts.method", "funnel_steps.position"),
}


def test_every_column_of_a_mart_says_what_it_is_and_what_it_is_made_of(sandbox: dg.Definitions) -> None:
    known = made_of(sandbox)
    silent, rootless = [], set()
    for spec, column in columns(sandbox):
        if spec.key.path[0] != "marts":
            continue
        name = f"{spec.key.path[1]}.{column.name}"
        if not (column.description or "").partition("From [")[0].strip():
            silent.append(name)
        if not known[f"marts/{spec.key.path[1]}", column.name]:
            rootless.add(name)
    assert not silent
    assert rootless == CONSTANTS


def test_columns_lead_from_a_kpi_to_the_field_of_the_vendor(sandbox: dg.Definitions) -> None:
    known = made_of(sandbox)
    assert {table for table, _ in known} >= {"raw_hubspot/deals", "staging/stg_hubspot__opportunities"}
    there_is = {("/".join(spec.key.path), column.name) for spec, column in columns(sandbox)}
    hops = {
        (table, column): upstream
        for (table, column), upstream in known.items()
        if not table.startswith("raw_")  # whose fields are the vendor's
    }
    assert {one for upstream in hops.values() for one in upstream} <= there_is
    found, todo = set(), [("marts/kpi_values", "value")]
    while todo:
        here = todo.pop()
        if here not in found:
            found.add(here)
            todo += known.get(here, ())
    assert {
        ("core/kpi_sales", "won_value"),
        ("core/opportunities", "amount"),
        ("crm/opportunities", "amount"),
        ("staging/stg_hubspot__opportunities", "amount"),
        ("raw_hubspot/deals", "amount"),
        ("systems/hubspot", "deals.amount"),
        ("systems/stripe", "subscriptions.items"),
        ("systems/finance", "quotas.amount"),
    } <= found
    assert ("raw_hubspot/deals", "dealname") not in found
    of_opportunities = {
        one.name: one for spec, one in columns(sandbox) if spec.key.path == ["crm", "opportunities"]
    }
    amount = of_opportunities["amount"]
    assert "[staging/stg_hubspot__opportunities](/assets/staging/stg_hubspot__opportunities): `amount`" in (
        amount.description or ""
    )


def test_lineage_is_that_of_the_present_models_or_none(company: Company) -> None:
    assert read_lineage(company.environment.home).made_of["crm.opportunities"]
    before = lineage_file(company.environment.home).stat().st_mtime_ns
    assert build_lineage(company.environment).share > 0.95
    assert lineage_file(company.environment.home).stat().st_mtime_ns == before
    stamp = manifest_file(company.environment.home).with_name("fingerprint")
    kept = stamp.read_text()
    stamp.write_text("of other models")
    try:
        assert read_lineage(company.environment.home) == Lineage()
    finally:
        stamp.write_text(kept)
