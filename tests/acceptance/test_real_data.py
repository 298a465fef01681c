"""Two real exports through the same pipeline, against figures that were computed independently."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from revops import ROOT, Revops

DATA = Path(os.environ.get("REVOPS_REAL_DATA") or ROOT.parent / "shared" / "data")


def example(name: str, folder: Path) -> Revops:
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is absent; REVOPS_REAL_DATA says where the real data is")
    environment = {"REVOPS_REAL_DATA": str(DATA)}
    revops = Revops(folder / "home", ROOT / "examples" / name / "revops.toml", environment)
    revops("run")
    return revops


@pytest.fixture(scope="module")
def maven(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return example("maven_crm", tmp_path_factory.mktemp("maven"))


@pytest.fixture(scope="module")
def ravenstack(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return example("ravenstack", tmp_path_factory.mktemp("ravenstack"))


@pytest.mark.parametrize(
    ("kpi", "value"),
    [
        ("win_rate", 0.631501),
        ("won_revenue", 10_005_534),
        ("sales_cycle_days", 57),
        ("sales_cycle_days_mean", 51.7820),
        ("pipeline_velocity", 60_146.85),
    ],
)
def test_a_crm_export_gives_its_known_figures(maven: Revops, kpi: str, value: float) -> None:
    (row,) = maven.kpi(kpi, "all")
    assert row["value"] == pytest.approx(value, abs=5e-5 if value < 100 else 5e-3)


def test_revenue_by_product_and_region_is_all_of_it(maven: Revops) -> None:
    assert sum(row["value"] for row in maven.kpi("won_revenue", "all", "product")) == 10_005_534
    by_region = {row["segment_value"]: row["value"] for row in maven.kpi("won_revenue", "all", "region")}
    assert by_region == {"West": 3_568_647, "Central": 3_346_293, "East": 3_090_594}
    rates = {row["segment_value"]: row["value"] for row in maven.kpi("win_rate", "all", "region")}
    assert rates == pytest.approx({"West": 0.6394, "Central": 0.6256, "East": 0.6302}, abs=5e-5)


def test_a_silo_that_is_not_configured_is_absent(maven: Revops, ravenstack: Revops) -> None:
    sold = {row["kpi"] for row in maven.json("kpis")}
    assert "win_rate" in sold
    assert sold.isdisjoint(
        {"arr", "mrr", "cac", "clv", "logo_churn_rate", "renewal_rate", "forecast_accuracy"}
    )
    billed = {row["kpi"] for row in ravenstack.json("kpis")}
    assert "arr" in billed
    assert billed.isdisjoint({"win_rate", "won_revenue", "cac", "pipeline_velocity", "email_reply_rate"})


def test_a_billing_export_gives_its_known_mrr(ravenstack: Revops) -> None:
    mrr = {row["period_start"]: row["value"] for row in ravenstack.kpi("mrr", "month")}
    assert mrr["2023-12-01"] == 1_262_113
    assert mrr["2024-06-01"] == 3_833_405
    assert mrr["2024-11-01"] == 8_460_824
    assert mrr["2024-12-01"] == 10_159_608


def test_every_month_of_the_bridge_closes(ravenstack: Revops) -> None:
    with ravenstack.marts() as marts:
        rows = marts.execute(
            'select month::text, opening, "new", reactivation, expansion, contraction, churn, fx, closing'
            " from marts.arr_bridge order by month"
        ).fetchall()
    closing = Decimal(0)
    for _, opening, *movements, end in rows:
        assert opening == closing
        assert opening + sum(movements) == end
        closing = end
    december = dict(zip(("new", "expansion", "contraction", "churn"), _of(rows[-1]), strict=True))
    assert rows[-1][0] == "2024-12-01"
    assert december == {"new": 496_667, "expansion": 1_365_101, "contraction": -162_984, "churn": 0}


def _of(row: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return row[2], row[4], row[5], row[6]
