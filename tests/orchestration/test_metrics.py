"""What a run leaves for Prometheus, compared with the marts it has published."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families
from revops import Revops

from orchestration import metrics
from orchestration.environment import Environment
from settings.paths import Home

Samples = dict[tuple[str, ...], float]


def read(home: Path) -> dict[str, Samples]:
    """Metric -> values of its labels in their names' order -> value."""
    text = Home(home).metrics.read_text(encoding="utf-8")
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            assert sample.name.startswith("revops_")
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name.removeprefix("revops_"), {})[labels] = sample.value
    return found


@pytest.fixture(scope="module")
def found(small_company: Revops) -> dict[str, Samples]:
    return read(small_company.home)


def asked(revops: Revops, query: str) -> Samples:
    """Rows as samples: all columns but the last are labels."""
    with revops.marts() as marts:
        return {tuple(row[:-1]): float(row[-1]) for row in marts.execute(query).fetchall()}


def test_headline_kpis_are_those_published_last(small_company: Revops, found: dict[str, Samples]) -> None:
    rows = [
        row
        for row in small_company.json("kpis")
        if row["value"] is not None and row["kpi"] in {kpi for (kpi,) in found["kpi_held"]}
    ]
    latest: dict[tuple[str, ...], Any] = {}
    for row in sorted(rows, key=lambda row: row["period_start"]):
        latest[row["kpi"], row["period"]] = row
    assert found["kpi_value"] == pytest.approx({key: row["value"] for key, row in latest.items()})
    assert {
        key: datetime.fromtimestamp(at, UTC).date().isoformat()
        for key, at in found["kpi_period_start_timestamp_seconds"].items()
    } == {key: row["period_start"] for key, row in latest.items()}
    assert len(found["kpi_held"]) == 10
    assert set(found["kpi_held"].values()) == {0}


def test_rows_and_gaps_are_those_of_the_marts(small_company: Revops, found: dict[str, Samples]) -> None:
    assert found["mart_rows"] == {
        (name.removeprefix("marts."),): rows for name, (rows, _) in small_company.published().items()
    }
    open_now = "from marts.silo_gaps where resolved_at is null"
    counted = f"select gap_type, severity, count(*) {open_now} group by all"
    assert found["open_gaps"] == asked(small_company, counted) != {}
    money = f"select currency, gap_type, severity, sum(money_at_risk) as money {open_now} group by all"
    priced = asked(small_company, f"from ({money}) where money is not null")
    assert found["open_gaps_money_at_risk"] == pytest.approx(priced) and priced
    as_of = "select epoch(max(ends_at)) from marts.gap_trend"
    assert found["published_as_of_timestamp_seconds"] == asked(small_company, as_of)


def test_sources_tell_what_they_brought_and_when(small_company: Revops, found: dict[str, Samples]) -> None:
    raw = small_company.tables(like="raw%")
    assert found["raw_rows"] == {
        tuple(name.removeprefix("raw_").split(".")): rows
        for name, (rows, _) in raw.items()
        if "._" not in name
    }
    for (_, source), at in found["source_last_load_timestamp_seconds"].items():
        assert at == pytest.approx((small_company.home / "loaded" / source).stat().st_mtime)
    ended = found["run_end_timestamp_seconds"][()]
    for key, lag in found["source_lag_seconds"].items():
        assert lag == pytest.approx(ended - found["source_last_load_timestamp_seconds"][key], abs=2)
    assert {silo for silo, _ in found["source_lag_seconds"]} == {"crm", "email", "billing", "finance"}
    assert found["published_timestamp_seconds"][()] == pytest.approx(ended, abs=60)


def test_every_step_tells_how_long_it_took(found: dict[str, Samples]) -> None:
    steps = {step for (step,) in found["step_seconds"]}
    assert steps >= {"load_hubspot", "load_stripe", "models", "gates", "marts", "publish"}
    assert found["step_failed"] == {(step,): 0 for step in steps}
    assert all(seconds > 0 for seconds in found["step_seconds"].values())
    assert found["run_seconds"][()] == pytest.approx(sum(found["step_seconds"].values()))


def test_gaps_that_are_resolved_and_kpis_that_are_held_are_told_apart(
    small_company: Revops, load: Callable[[Path], Environment]
) -> None:
    environment = load(small_company.config)
    shutil.copytree(small_company.home / "marts", environment.home.marts, symlinks=True)
    with duckdb.connect(str(environment.home.marts / "current.duckdb")) as marts:
        marts.execute(
            "update marts.silo_gaps set resolved_at = last_seen_at where gap_type = 'duplicate_accounts'"
        )
        marts.execute("update marts.kpi_values set gate_status = 'held' where kpi = 'arr'")
    metrics.write(environment, {}, set())
    found = read(environment.home.root)
    assert {gap_type for gap_type, _ in found["open_gaps"]} == {
        gap_type for gap_type, _ in read(small_company.home)["open_gaps"] if gap_type != "duplicate_accounts"
    }
    assert [kpi for (kpi,), held in found["kpi_held"].items() if held] == ["arr"]


def test_before_anything_is_published_only_the_run_is_told_of(
    small_company: Revops, load: Callable[[Path], Environment]
) -> None:
    environment = load(small_company.config)
    metrics.write(environment, {"load_hubspot": 2.5, "load_stripe": 1.0}, {"load_hubspot"})
    found = read(environment.home.root)
    assert found["step_failed"] == {("load_hubspot",): 1, ("load_stripe",): 0}
    assert found["run_seconds"] == {(): 3.5}
    assert not {"kpi_value", "mart_rows", "published_timestamp_seconds"} & set(found)
    assert found.get("raw_rows", {}) == {}
