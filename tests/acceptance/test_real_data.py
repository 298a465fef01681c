"""Two real exports through the same pipeline, against figures that were computed independently."""

from __future__ import annotations

import csv
import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from revops import ROOT, Revops

DATA = Path(os.environ.get("REVOPS_REAL_DATA") or ROOT.parent / "shared" / "data")


def rows(name: str) -> Iterator[dict[str, str]]:
    """A file of the real data, as it is."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


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


#: Segment of kpi_values -> what a deal's is, of its row and its agent's.
PARTS: dict[str, Callable[[dict[str, str], dict[str, str]], str]] = {
    "all": lambda deal, agent: "all",
    "region": lambda deal, agent: agent["regional_office"],
    "team": lambda deal, agent: agent["manager"],
    "product": lambda deal, agent: deal["product"].replace("GTXPro", "GTX Pro"),
}


@pytest.mark.parametrize("segment", PARTS)
def test_every_quarter_of_every_region_manager_and_product_is_as_the_export_says(
    maven: Revops, segment: str
) -> None:
    agents = {row["sales_agent"]: row for row in rows("maven_crm/sales_teams.csv")}
    closed: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for deal in rows("maven_crm/sales_pipeline.csv"):
        if deal["deal_stage"] in ("Won", "Lost"):
            part = PARTS[segment](deal, agents[deal["sales_agent"]])
            year, month, _ = deal["close_date"].split("-")
            closed[f"{year}-{(int(month) - 1) // 3 * 3 + 1:02}-01", part].append(deal)
    won = {key: [deal for deal in deals if deal["deal_stage"] == "Won"] for key, deals in closed.items()}
    true = {
        "win_rate": {key: len(won[key]) / len(closed[key]) for key in closed},
        "won_revenue": {key: sum(float(d["close_value"]) for d in won[key]) for key in closed},
        "sales_cycle_days": {key: statistics.median(map(days, won[key])) for key in closed if won[key]},
    }
    for kpi, expected in true.items():
        found = {
            (row["period_start"], row["segment_value"]): row["value"]
            for row in maven.kpi(kpi, "quarter", segment)
            if row["value"] is not None
        }
        # A segment is in every quarter; what sold nothing in one earned nothing.
        earned = {key: value for key, value in found.items() if value or key in expected}
        assert earned == pytest.approx(expected, rel=1e-9, abs=1e-9), kpi
    assert len(closed) >= 4


def days(deal: dict[str, str]) -> int:
    return (date.fromisoformat(deal["close_date"]) - date.fromisoformat(deal["engage_date"])).days


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


@pytest.mark.parametrize("segment", ["plan", "country"])
def test_every_quarter_of_every_plan_and_country_is_as_the_export_says(
    ravenstack: Revops, segment: str
) -> None:
    countries = {row["account_id"]: row["country"] for row in rows("ravenstack/ravenstack_accounts.csv")}
    sold = [
        row
        for row in rows("ravenstack/ravenstack_subscriptions.csv")
        if row["is_trial"] == "FALSE" and float(row["mrr_amount"])
    ]
    expected: dict[tuple[str, str], float] = defaultdict(float)
    for year in (2023, 2024):
        for first, end in (("01-01", "03-31"), ("04-01", "06-30"), ("07-01", "09-30"), ("10-01", "12-31")):
            live: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for row in sold:
                if row["start_date"] <= f"{year}-{end}" and not "" < row["end_date"] <= f"{year}-{end}":
                    live[row["account_id"]].append(row)
            for account, of_account in live.items():
                largest = max(of_account, key=lambda row: (float(row["mrr_amount"]), row["subscription_id"]))
                part = largest["plan_tier"] if segment == "plan" else countries[account]
                expected[f"{year}-{first}", part] += sum(float(row["mrr_amount"]) for row in of_account)
    found = {
        (row["period_start"], row["segment_value"]): row["value"]
        for row in ravenstack.kpi("mrr", "quarter", segment)
        if row["value"]
    }
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert len(expected) >= 8


def test_every_month_of_the_bridge_closes(ravenstack: Revops) -> None:
    with ravenstack.marts() as marts:
        bridge = marts.execute(
            'select month::text, opening, "new", reactivation, expansion, contraction, churn, fx, closing'
            " from marts.arr_bridge order by month"
        ).fetchall()
    closing = Decimal(0)
    for _, opening, *movements, end in bridge:
        assert opening == closing
        assert opening + sum(movements) == end
        closing = end
    december = dict(zip(("new", "expansion", "contraction", "churn"), _of(bridge[-1]), strict=True))
    assert bridge[-1][0] == "2024-12-01"
    assert december == {"new": 496_667, "expansion": 1_365_101, "contraction": -162_984, "churn": 0}


def _of(row: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return row[2], row[4], row[5], row[6]
