"""dbt's unit tests, all of them, on a warehouse without a row."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt_alone import Dbt

from settings.paths import DBT_PROJECT

UNIT = "unit_test.revops_warehouse."
G2_AND_G9 = "marts__kpi_values.golden_g2_and_g2b_and_g9"


@pytest.fixture(scope="module")
def dbt(emptied: Path, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Unit tests ask the models' tables for their columns."""
    made = Dbt(tmp_path_factory.mktemp("unit"))
    shutil.copyfile(emptied, made.folder / "warehouse.duckdb")
    return made


def declared() -> set[str]:
    """Model and name of every unit test in the project's files."""
    return {
        f"{test['model']}.{test['name']}"
        for file in (DBT_PROJECT / "models").rglob("*.yml")
        for test in yaml.safe_load(file.read_text(encoding="utf-8")).get("unit_tests", [])
    }


def test_every_unit_test_of_the_models_runs_and_passes(dbt: Dbt) -> None:
    ran = dbt("test", "--select", "test_type:unit")
    assert {name: status for name, status in ran.items() if status != "pass"} == {}
    assert {name.removeprefix(UNIT) for name in ran} == declared()
    assert len(ran) >= 39


#: Policy -> another value of it, and the unit tests that say what the usual one gives. Tests of other values
#: name all policies that they read themselves.
FLIPS: dict[str, tuple[Any, set[str]]] = {
    "mode": ("stripe", set()),  # revops.toml's own: it sets the others
    "past_due_grace_days": (
        31,
        {
            "core__subscription_stops.when_a_subscription_earns_nothing",
            "core__kpi_billing_records.what_billing_kpis_count",
        },
    ),
    "churn_date": (
        "cancellation",
        {
            "core__subscription_spans.what_counts_as_revenue",
            "core__subscription_spans.discounts_reduce_mrr",
        },
    ),
    "discounts": ("forever_only", {"core__subscription_spans.discounts_reduce_mrr"}),
    "gross_margin": (0.5, {G2_AND_G9, "marts__kpi_values.golden_g9_and_g11_of_billing"}),
    "renewal_grace_days": (20, {"core__renewals.renewals_by_due_date"}),
    "renewal_min_term_months": (4, {"core__renewals.terms_of_a_contract"}),
    "lead_sla_minutes": (59, {"core__kpi_lead_records.golden_g7_business_minutes"}),
    "net_churn_reactivation": (True, {G2_AND_G9}),
    "clv_gross_margin": (False, {G2_AND_G9}),
    "churn_denominator": ("opening_and_new", {G2_AND_G9}),
}

#: Parses once, then runs for each flip the unit tests of the models whose SQL, or a macro of theirs, names
#: the policy: no other can give anything else. Policies that have no reader in common are flipped at once.
_FLIPPED = """
import json, re, sys
from dbt.cli.main import dbtRunner

usual, flips = json.loads(sys.argv[1])
manifest = dbtRunner().invoke(["--quiet", "parse"]).result


def readers(policy):
    names = re.compile(rf"[.]{policy}\\b").search
    macros = {name for name, macro in manifest.macros.items() if names(macro.macro_sql)}
    while more := {
        name for name, macro in manifest.macros.items() if macros & set(macro.depends_on.macros)
    } - macros:
        macros |= more
    return {
        node.name
        for node in manifest.nodes.values()
        if names(node.raw_code) or macros & set(node.depends_on.macros)
    }


rounds = []
for policy in flips:
    models = readers(policy)
    for flipped in rounds:
        if not models & set().union(*flipped.values()):
            break
    else:
        rounds.append(flipped := {})
    flipped[policy] = models
for flipped in rounds:
    select = [f"{model},test_type:unit" for models in flipped.values() for model in models]
    given = json.dumps({"policies": {**usual, **{policy: flips[policy] for policy in flipped}}})
    done = dbtRunner(manifest=manifest).invoke(["--quiet", "test", "--select", *select, "--vars", given])
    for policy, models in flipped.items():
        ran = {
            result.node.unique_id: str(result.status)
            for result in done.result.results
            if result.node.unique_id.split(".")[2] in models
        }
        print(json.dumps([policy, ran]))
"""


def test_another_policy_fails_the_tests_that_depend_on_it_and_no_others(dbt: Dbt) -> None:
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))
    usual = project["vars"]["policies"]
    assert FLIPS.keys() == usual.keys()
    flips = {policy: value for policy, (value, _) in FLIPS.items()}
    done = subprocess.run(
        [sys.executable, "-c", _FLIPPED, json.dumps([usual, flips])],
        cwd=DBT_PROJECT,
        env=dbt.environment(DBT_PROJECT),
        capture_output=True,
        text=True,
    )
    answers = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith('["'))
    assert answers.keys() == FLIPS.keys(), done.stdout + done.stderr
    for policy, (_, depending) in FLIPS.items():
        failed = {name.removeprefix(UNIT): s for name, s in answers[policy].items() if s != "pass"}
        assert failed == dict.fromkeys(depending, "fail"), policy


def test_a_wrong_expectation_is_seen(dbt: Dbt, tmp_path: Path) -> None:
    project = tmp_path / "changed"
    shutil.copytree(DBT_PROJECT, project)
    file = project / "models" / "core" / "_core_unit_tests_movements.yml"
    right, wrong = "F,0,40,0,0,0,0,0,40,false", "F,0,40,0,0,0,0,0,41,false"
    text = file.read_text(encoding="utf-8")
    assert text.count(right) == 1
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    selected = "core__mrr_monthly,test_name:every_kind_of_movement"
    assert list(dbt("test", "--select", selected, project=project).values()) == ["fail"]
