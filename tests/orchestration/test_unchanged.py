"""Only what is stale is built, and never less than that."""

from __future__ import annotations

import json
import re

import duckdb
import pytest
from revops import Revops, copied

WHEN_BUILT = "loaded_at|last_load.*"


@pytest.fixture(scope="module")
def company(small_company: Revops, tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return copied(small_company, tmp_path_factory.mktemp("unchanged") / "company")


def built(revops: Revops) -> set[str]:
    """The models that the last run built, as its log says."""
    lines = (revops.home / "run.log").read_text(encoding="utf-8").splitlines()
    said = [line for line in map(json.loads, lines) if " OK created " in line["message"]]
    return {re.sub("^(core|marts|identity)__(?=core|marts|identity)", "", line["node"]) for line in said}


def checks_of(revops: Revops) -> int:
    lines = (revops.home / "run.log").read_text(encoding="utf-8").splitlines()
    return sum(" PASS " in json.loads(line)["message"] for line in lines)


def change(revops: Revops, sql: str) -> None:
    with duckdb.connect(str(revops.home / "warehouse.duckdb")) as warehouse:
        warehouse.execute(sql)


def test_nothing_is_built_of_what_has_not_changed(company: Revops) -> None:
    before = company.tables(without=WHEN_BUILT)
    company("run")
    assert built(company) == set() and checks_of(company) == 0
    after = company.tables(without=WHEN_BUILT)
    kept = [name for name in before if not name.startswith(("gaps.", "raw_"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_all_is_built_if_asked_for_and_is_the_same(company: Revops) -> None:
    before = company.tables(without=WHEN_BUILT)
    company("run", "--rebuild")
    assert {"core__mrr_monthly", "marts__kpi_values", "stg_hubspot__accounts"} <= built(company)
    assert checks_of(company) > 100
    after = company.tables(without=WHEN_BUILT)
    kept = [name for name in before if not name.startswith(("gaps.", "raw_"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_what_is_made_of_a_changed_table_is_built_and_nothing_beside(company: Revops) -> None:
    change(company, "update raw_stripe.refunds set amount = amount + 1, _hash = 0")
    company("run")
    found = built(company)
    assert {"stg_stripe__refunds", "billing__refunds", "core__revenue_walk", "marts__revenue_walk"} <= found
    assert not found & {"stg_stripe__invoices", "crm__accounts", "identity__accounts", "core__mrr_monthly"}
    assert 0 < checks_of(company) < 100


def test_a_model_that_is_gone_is_built_again(company: Revops) -> None:
    change(company, "drop table billing.prices")
    company("run")
    assert "billing__prices" in built(company)


def test_another_policy_builds_all(company: Revops) -> None:
    text = company.config.read_text(encoding="utf-8")
    other = company.config.with_name("other.toml")
    other.write_text(text + '\n[policies]\nmode = "chartmogul"\n', encoding="utf-8")
    Revops(company.home, other)("run")
    assert {"stg_hubspot__accounts", "core__mrr_monthly", "marts__kpi_values"} <= built(company)


def test_time_that_passes_builds_what_looks_at_it(company: Revops) -> None:
    company("run")
    company("sandbox", "advance", "--days", "1")
    company("run")
    found = built(company)
    assert {"core__calendar", "marts__kpi_values"} <= found
    assert not found & {"stg_stripe__prices", "billing__prices", "crm__stages"}
