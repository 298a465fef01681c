"""The default company, without its noise, from beginning to end: first run, second run, a month later.

In this order, and everything exact; what noise does to it is in test_identity.py.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import audit_compare
import duckdb
import identity_quality
import kpi_compare
import kpi_records
import ledger_compare
import metric_compare
import pytest
from kept_compare import kept
from rebuilt import rebuilt
from revops import Revops, sandbox_company

from expectations.catalogue import GATES
from orchestration.gates import read_verdict
from orchestration.publish import publish
from sandbox.ledger import Ledger
from sandbox.state import read_state
from settings.config import SILOS, Policies
from settings.paths import Home

TEN = (
    *("win_rate", "sales_cycle_days", "pipeline_velocity", "cac", "forecast_accuracy"),
    *("clv", "logo_churn_rate", "renewal_rate", "expansion_rate", "arr"),
)
PLANTED_GAPS = (
    *("won_without_billing", "paying_without_crm", "churned_but_customer", "duplicate_accounts"),
    "reply_without_lead",
)
#: What the company does wrong by itself.
OWN_GAPS = (*("idle_opportunity", "lead_unanswered", "untouched_win", "upgrade_without_opportunity"),)

#: What a BI tool does all day: open, ask, close. A half-built state would not add up.
READER = """
import sys
import duckdb
while True:
    with duckdb.connect(sys.argv[1], read_only=True) as marts:
        bridge = marts.execute("select sum(closing) from marts.arr_bridge").fetchone()
        accounts = marts.execute("select sum(closing) from marts.mrr_monthly").fetchone()
        kpis = marts.execute(
            "select sum(value) from marts.kpi_values"
            " where kpi = 'mrr' and period = 'month' and segment = 'all'"
        ).fetchone()
    assert bridge == accounts, (bridge, accounts)
    assert float(kpis[0]) == float(bridge[0]), (kpis, bridge)
    print(bridge[0], flush=True)
"""


@pytest.fixture(scope="module")
def revops(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return sandbox_company(tmp_path_factory.mktemp("company"))


def ledger(revops: Revops, policies: Policies | None = None) -> Ledger:
    return Ledger(read_state(revops.home / "sandbox").simulate(), policies)


def assert_the_marts_are_the_truth(revops: Revops, truth: Ledger) -> None:
    """Movements, identities, renewals, funnel steps and KPIs to the cent; every gap and no others."""
    with revops.warehouse() as warehouse:
        assert ledger_compare.all_differences(warehouse, truth) == []
        people = identity_quality.people_quality(warehouse, truth)
        assert people.missed == [] and people.precision >= 0.99
    with revops.marts() as marts:
        assert kpi_compare.differences(marts, truth) == []
        found = marts.execute(
            "select gap_type, key_left, key_right, money_at_risk from marts.silo_gaps"
            " where resolved_at is null"
        ).fetchall()
    assert set(found) == {(g.gap_type, g.key_left, g.key_right, g.money_at_risk) for g in truth.gaps}
    assert {gap.gap_type for gap in truth.gaps} >= {*PLANTED_GAPS, *OWN_GAPS}


def test_the_first_run_shows_the_ten_kpis_the_gaps_and_where_the_marts_are(revops: Revops) -> None:
    shown = revops("run").stdout
    for kpi in TEN:
        assert kpi in shown
    for gap in PLANTED_GAPS + OWN_GAPS:
        assert gap in shown
    assert str(revops.home / "marts" / "current.duckdb") in shown
    assert_the_marts_are_the_truth(revops, ledger(revops))


def test_a_second_run_loads_nothing_and_changes_no_mart(revops: Revops) -> None:
    before = revops.published()
    report = revops.json("run")
    assert {rows["loaded"] for tables in report["sources"].values() for rows in tables.values()} == {0}
    assert revops.published() == before
    assert len(before) >= 14


def test_one_source_is_read_again_and_nothing_else_is(revops: Revops) -> None:
    before = revops.published()
    january, march = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)
    span = ("--since", "2025-01-01", "--until", "2025-03-01")
    report = revops.json("run", "--source", "hubspot", "--table", "deals", *span)
    assert set(report["sources"]) == {"hubspot"}
    deals, contacts = (report["sources"]["hubspot"][table] for table in ("deals", "contacts"))
    touched = [deal for deal in ledger(revops).world.crm.deals if january <= deal.updated_at < march]
    assert 0 < len(touched) <= deals["read"] < deals["total"] / 2
    assert contacts["read"] < contacts["total"] / 2
    assert {rows["loaded"] for rows in report["sources"]["hubspot"].values()} == {0}
    assert revops.published() == before
    for arguments, says in (
        (("--source", "hubspto"), "--source hubspto: there is no such source; there is finance, hubspot"),
        (("--since", "2025-01-01"), "--table, --since and --until are of one source. Name it with --source"),
        (("--source", "hubspot", "--until", "2025-01-01"), "--until is the end of what is read again, and"),
        (
            ("--source", "hubspot", "--since", "2025-02-01", "--until", "2025-02-01"),
            "--until 2025-02-01 00:00 is not after --since 2025-02-01 00:00",
        ),
        (("--source", "hubspot", "--table", "deals"), "--table says what is read again, and needs --since"),
        (("--source", "hubspot", "--table", "deal", "--since", "2025-01-01"), "hubspot has no such table"),
    ):
        assert says in revops("run", *arguments, exits=1).stderr


def test_a_month_later_only_what_changed_is_loaded_and_the_marts_are_the_truth_again(revops: Revops) -> None:
    was = ledger(revops).world.now
    former_pipeline = pipeline_until(revops, was)
    before = {source["source"]: source["rows"] for source in revops.json("sources")}
    revops("sandbox", "advance", "--days", "30")
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(revops.home / "marts" / "current.duckdb")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    report = revops.json("run")
    time.sleep(1)
    reader.terminate()
    answers, complaints = reader.communicate()
    assert complaints == ""
    assert len(set(answers.split())) == 2  # the marts before and the marts after, nothing between

    truth = ledger(revops)
    events = [e for e in truth.world.email.events if e.occurred_at >= was]
    mailed = report["sources"]["mailshake"]
    loaded = sum(mailed[table]["loaded"] for table in ("sent", "opens", "clicks", "replies"))
    read = sum(mailed[table]["read"] for table in ("sent", "opens", "clicks", "replies"))
    assert loaded == len(events)
    assert loaded <= read <= loaded * 1.1 + 50  # the lag window
    companies = [c for c in truth.world.crm.companies if c.updated_at >= was or (c.archived_at or was) > was]
    assert report["sources"]["hubspot"]["companies"]["loaded"] == len(companies)
    for source, tables in report["sources"].items():
        for name, rows in tables.items():
            assert rows["loaded"] <= rows["read"], name
            assert rows["total"] >= before[source].get(name, 0), name
    assert_the_marts_are_the_truth(revops, truth)
    # History is rebuilt: every former day is as it was then, but for opportunities deleted since.
    pipeline = pipeline_until(revops, was)
    known = {opportunity for _, opportunity in pipeline}
    assert {key: row for key, row in former_pipeline.items() if key[1] in known} == pipeline
    assert len(pipeline) > 10_000


def test_where_the_process_breaks_is_the_truth(revops: Revops) -> None:
    with revops.marts() as marts:
        assert audit_compare.differences(marts, ledger(revops)) == []
    rows = revops.json("audit")
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert {"skipped_stage", "late_response", "double_mail"} <= {row["finding"] for row in rows}
    first = next(row for row in rows if row["found"])
    assert first["money"] == max(row["money"] or 0 for row in rows)
    shown = revops("audit").stdout.splitlines()[-1]
    assert shown.startswith("Worth mending first: ") and f"{first['money']:,.2f} USD" in shown
    europe = revops.json("audit", "--team", "Europe", "--quarter", "2025-08-15")
    assert {(row["team"], row["quarter"]) for row in europe} == {("Europe", "2025-07-01")}
    assert any(row["found_before"] for row in europe)
    assert "nothing is known of it" in revops("audit", "--quarter", "1999-01-01", exits=1).stderr
    assert "--team Mars: there is no such value" in revops("audit", "--team", "Mars", exits=1).stderr


def test_each_team_gets_a_digest_of_its_register(revops: Revops, tmp_path: Path) -> None:
    """Both runs were at midnight, a month apart, so what the second found and resolved is the week's."""
    now = read_state(revops.home / "sandbox").now
    register = revops.json("gaps", "--resolved")
    stamp = now.isoformat().replace("+00:00", "Z")
    digests = {digest["team"]: digest for digest in revops.json("digest")}
    assert len({gap["first_seen_at"] for gap in register}) == 2
    for team in {gap["owner_team"] for gap in register}:
        its = [gap for gap in register if gap["owner_team"] == team]
        is_open = [gap for gap in its if gap["resolved_at"] is None]
        digest = digests.pop(team)
        assert digest["open"] == len(is_open)
        assert digest["new"]["count"] == sum(gap["first_seen_at"] == stamp for gap in is_open)
        assert digest["resolved"]["count"] == len(its) - len(is_open)
        assert digest["came_back"]["count"] == 0
        assert digest["money_at_risk"] == pytest.approx(sum(gap["money_at_risk"] or 0 for gap in is_open))
        trend = digest["trend"]
        assert trend[-1]["open"] == len(is_open)
        for former, week in pairwise(trend):
            assert week["open"] == former["open"] + week["opened"] - week["resolved"]
    assert digests == {}
    said = revops("digest", "--out", str(tmp_path)).stdout
    assert "Nothing to report for " in said and f"{tmp_path}/finance.html" in said
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".html"}
    revops("digest", "--owner", "finance", "--format", "markdown")
    year, week, _ = (now - timedelta(microseconds=1)).date().isocalendar()
    assert [path.name for path in (revops.home / "digest" / f"{year}-W{week:02d}").iterdir()] == [
        "finance.md"
    ]


def pipeline_until(revops: Revops, until: datetime) -> dict[tuple[date, str], tuple[Any, ...]]:
    """Every opportunity on every day before one, as published."""
    with revops.marts() as marts:
        rows = marts.execute("select * from marts.pipeline_daily where day < $1", [until.date()]).fetchall()
    return {(row[0], row[2]): row for row in rows}


def test_commands_for_reading(revops: Revops) -> None:
    rows = revops.json("kpis", "--period", "month", "--by", "team", "--kpi", "win_rate")
    assert {row["segment"] for row in rows} == {"team"}
    assert revops("kpis", "--format", "csv").stdout.startswith("kpi,period,period_start,segment")
    stuck = revops.json("bottlenecks")
    assert [row["rank"] for row in stuck] == sorted(row["rank"] for row in stuck)
    assert stuck[0]["revenue_stuck"] > 0 and len({row["quarter"] for row in stuck}) == 1
    assert f"{stuck[0]['revenue_stuck']:,.2f}" in revops("bottlenecks").stdout
    former = revops.json("bottlenecks", "--quarter", "2025-08-15")
    assert {row["quarter"] for row in former} == {"2025-07-01"}
    assert "no quarter is known by then" in revops("bottlenecks", "--quarter", "1999-01-01", exits=1).stderr
    gaps = revops.json("gaps", "--severity", "critical", "--owner", "finance")
    assert {(gap["severity"], gap["owner_team"]) for gap in gaps} == {("critical", "finance")}
    assert "there is no such value; there is" in revops("gaps", "--owner", "nobody", exits=1).stderr
    weeks = revops.json("gaps", "--trend", "--owner", "finance", "--severity", "critical")
    assert {row["owner_team"] for row in weeks} == {"finance"}
    last = max(row["week"] for row in weeks)
    assert sum(row["open"] for row in weeks if row["week"] == last) == len(gaps)
    assert last in revops("gaps", "--trend").stdout
    sources = {row["source"]: row for row in revops.json("sources")}
    assert {row["reachable"] for row in sources.values()} == {"yes"}
    assert sources["stripe"]["rows"]["customers"] > 100
    assert sources["stripe"]["last_load"]
    hubspot = sources["hubspot"]
    assert set(hubspot["counted"]) == {"companies", "contacts", "deals"}
    assert all(rows["here"] == rows["at_source"] > 100 for rows in hubspot["counted"].values())
    assert (hubspot["tables"], hubspot["used_tables"], hubspot["unused_tables"]) == (10, 10, [])
    assert sources["stripe"]["counted"] == {}


def test_every_figure_is_the_sum_of_its_records(revops: Revops) -> None:
    with revops.warehouse() as warehouse:
        assert kpi_records.differences(warehouse) == []
        known = warehouse.execute(
            "select kpi, periods, segments from marts.kpi_definitions order by kpi"
        ).fetchall()
        found = warehouse.execute(
            "select kpi, list_sort(list(distinct period)), list_sort(list(distinct segment))"
            " from marts.kpi_values group by kpi order by kpi"
        ).fetchall()
        assert found == [(kpi, sorted(p.split(", ")), sorted(s.split(", "))) for kpi, p, s in known]


@pytest.mark.parametrize(
    ("kpi", "period", "segment", "of"),
    [
        ("win_rate", "2026-Q3", "team=Europe", ["owner", "product", "region", "source"]),
        ("win_rate_value", "2026-09", None, ["owner", "product", "region", "source", "team"]),
        (
            *("arr", "2026-10", None),
            ["account", "country", "owner", "plan", "product", "region", "size", "source", "team"],
        ),
        (
            "logo_churn_rate",
            "2026-Q3",
            "size=51-250",
            ["account", "country", "owner", "plan", "product", "region", "source", "team"],
        ),
        ("dso_days", "2026-09", None, ["account"]),
        ("cac", "2026-Q3", None, ["category"]),
        ("attributed_revenue", "2026", "channel=email", ["campaign"]),
    ],
)
def test_a_figure_is_explained(
    revops: Revops, kpi: str, period: str, segment: str | None, of: list[str]
) -> None:
    asked = ("explain", kpi, "--period", period, *(("--segment", segment) if segment else ()))
    answer = json.loads(revops(*asked, "--format", "json").stdout, parse_float=Decimal)
    length = {7: "quarter" if "Q" in period else "month", 4: "year"}[len(period)]
    by, value = segment.split("=") if segment else ("all", "all")
    [figure] = [
        row
        for row in revops.kpi(kpi, length, by)
        if row["period_start"] == answer["period_start"] and row["segment_value"] == value
    ]
    assert float(answer["value"]) == figure["value"]
    records = answer["records"]
    assert records and sum(Decimal(row["numerator"]) for row in records) == answer["numerator"]
    if figure["denominator"] != 1:
        assert sum(Decimal(row["denominator"]) for row in records) == answer["denominator"]
    assert sorted(answer["segments"]) == of
    for rows in answer["segments"].values():
        assert abs(sum(Decimal(row["contribution"]) for row in rows) - answer["change"]) < Decimal("1e-8")
    lines = revops(*asked, "--format", "csv").stdout.splitlines()
    assert len(lines) == len(records) + 1
    shown = revops(*asked).stdout
    assert answer["formula"] in shown and f"Records: {len(records)}" in shown and "contributed" in shown


def test_metricflow_gives_the_same_numbers(revops: Revops, tmp_path: Path) -> None:
    assert metric_compare.differences(revops.home, tmp_path) == []
    file = tmp_path / "won.csv"
    by = ("--metrics", "win_rate", "--group-by", "metric_time__quarter,opportunity__team", "--csv", str(file))
    revops("mf", "query", *by)
    assert file.read_text(encoding="utf-8").startswith("metric_time__quarter,opportunity__team,win_rate\n")
    assert (
        "does not exactly match any known metrics" in revops("mf", "query", "--metrics", "x", exits=1).stdout
    )


@pytest.mark.parametrize("mode", ["chartmogul", "stripe"])
def test_another_mode_counts_the_same_facts_otherwise(revops: Revops, tmp_path: Path, mode: str) -> None:
    policies = Policies.model_validate({"mode": mode})
    truth = ledger(revops, policies)
    usual = {row.kpi for row in set(ledger(revops).kpis()) - set(truth.kpis())}
    assert {"chartmogul": "net_mrr_churn_rate", "stripe": "logo_churn_rate"}[mode] in usual
    home = rebuilt(revops, policies, tmp_path / mode)
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        assert kpi_compare.differences(warehouse, truth) == []
        assert kpi_records.differences(warehouse) == []
        assert ledger_compare.revenue_differences(warehouse, truth) == []
        settings = warehouse.execute("select settings from marts.kpi_policies where policy = 'mode'")
        assert settings.fetchall() == [(f"mode = {mode}",)]
    assert metric_compare.differences(home.root, tmp_path) == []

    with revops.marts() as marts:
        before = marts.execute("from marts.kpi_reported order by all").fetchall()
    publish(home, truth.world.now)
    restated = Revops(home.root, revops.config)
    with restated.marts() as marts:
        assert marts.execute("from marts.kpi_reported order by all").fetchall() == before
    kpi = {"chartmogul": "net_mrr_churn_rate", "stripe": "logo_churn_rate"}[mode]
    rows = restated.json("kpis", "--as-reported", "--kpi", kpi, "--period", "month")
    usual_rows = {row["period_start"]: row["value"] for row in revops.kpi(kpi, "month")}
    assert rows and all(row["value"] == usual_rows[row["period_start"]] for row in rows)
    latest = [row for row in rows if row["value"] != row["restated"]][-1]
    shown = restated("kpis", "--as-reported", "--kpi", kpi, "--period", "month").stdout
    assert f"{latest['value']:.1%} (now {latest['restated']:.1%})" in shown
    asked = ("explain", kpi, "--period", latest["period_start"][:7], "--restated")
    answer = json.loads(restated(*asked, "--format", "json").stdout, parse_float=Decimal)
    moved = answer["records"]
    for side in ("numerator", "denominator"):
        change = sum(Decimal(row[side] or 0) - Decimal(row[f"{side}_reported"] or 0) for row in moved)
        assert change == answer[side] - answer["reported"][side]
    assert moved and f"Records that moved it: {len(moved)}" in restated(*asked).stdout
    assert len(restated(*asked, "--format", "csv").stdout.splitlines()) == len(moved) + 1


def test_gates_touch_what_there_is(revops: Revops) -> None:
    with revops.marts() as marts:
        subjects = {row[0] for row in marts.execute("select subject from marts.kpi_definitions").fetchall()}
    assert {subject for gate in GATES for subject in gate.touches} <= subjects


def test_what_cannot_be_explained_says_what_can(revops: Revops) -> None:
    answer = revops.json("explain", "clv", "--period", "2026-Q3")
    assert (answer["records"], [part["kpi"] for part in answer["parts"]]) == (
        None,
        ["arpa", "logo_churn_rate"],
    )
    assert "clv is no sum over records" in revops("explain", "clv", "--period", "2026-Q3").stdout
    first = revops.json("explain", "mrr", "--period", "all")
    assert (first["previous"], first["change"], first["segments"]) == (None, None, None)
    for arguments, says in (
        (
            ("winrate", "--period", "2026"),
            "winrate: there is no such KPI; there is win_rate, win_rate_value,",
        ),
        (("arr", "--period", "1999-Q1"), "--period 1999-Q1: arr has no such period; there is all, 2024-11,"),
        (("arr", "--period", "2026-Q5"), "--period 2026-Q5: no period. Write a month as 2026-07"),
        (
            ("dso_days", "--period", "2026", "--segment", "team=x"),
            "dso_days is known of the whole company only",
        ),
        (("win_rate", "--period", "2026", "--segment", "x=y"), "no such segment; there is owner, product,"),
        (("win_rate", "--period", "2026", "--segment", "team"), "there is team=Americas, team=Customer Suc"),
        (("clv", "--period", "2026", "--format", "csv"), "Explain what it is made of: arpa, logo_churn_rate"),
        (("arr", "--period", "2026", "--restated"), "arr of 2026 has not been published since the period"),
    ):
        assert says in revops("explain", *arguments, exits=1).stderr


#: What the silos say next -> the statements that say it in the contract's tables.
OTHER_HISTORY = {
    "nothing new": "",
    "late changes, and another rate for a day long past": """
        insert into crm.opportunity_history by name
        select source, opportunity_id, 'amount' as field, changed_at + interval 1 hour as changed_at,
            '77' as old_value, '78' as new_value
        from crm.opportunity_history where field = 'stage' and hash(opportunity_id) % 9 = 0;
        update finance.fx_rates set rate = rate * 1.01
        where rate_date = (select quantile_disc(rate_date, 0.5) from finance.fx_rates)
    """,
    "records that are deleted, marked or not": """
        update crm.opportunities set is_deleted = true where hash(opportunity_id) % 11 = 0;
        delete from crm.opportunities where hash(opportunity_id) % 13 = 0;
        delete from crm.opportunity_history where hash(opportunity_id) % 7 = 0 and field = 'stage'
    """,
    "accounts that turn out to be one": """
        update identity.crm_accounts set account = (select min(account) from identity.crm_accounts)
        where hash(account) % 17 = 0
    """,
    "deals that were opened again, and closed on another day": """
        update crm.opportunities set outcome = 'open', closed_at = null where hash(opportunity_id) % 19 = 0;
        update crm.opportunities set closed_at = closed_at - interval 40 day
        where hash(opportunity_id) % 23 = 0
    """,
    "other teams and quotas": """
        update crm.owners set team = 'Elsewhere' where hash(owner_id) % 3 = 0;
        update finance.quotas set team = 'Nowhere' where hash(quota_id) % 5 = 0
    """,
    "leads from elsewhere, and messages nobody opened": """
        update crm.leads set lead_source = 'Elsewhere' where hash(lead_id) % 5 = 0;
        delete from email.events where hash(event_id) % 29 = 0 and event_type = 'open'
    """,
    "a stage by another name": "update crm.stages set label = label || '!' where outcome = 'open'",
}


def test_what_is_kept_is_what_would_be_computed_again(revops: Revops, tmp_path: Path) -> None:
    as_of = datetime.fromisoformat(read_verdict(Home(revops.home))["as_of"])
    home = Home(tmp_path)
    shutil.copyfile(revops.home / "warehouse.duckdb", home.warehouse)
    given = {"as_of": f"{as_of}", "silos": list(SILOS), "currency": "USD"}
    with kept(home, given) as company:
        for day, (said, statements) in enumerate(OTHER_HISTORY.items()):
            company.change(statements)
            assert company.differences(as_of=f"{as_of + timedelta(days=day)}") == {}, said
        assert company.differences(as_of=f"{as_of - timedelta(days=200)}") == {}
        assert company.differences(as_of=f"{as_of}", timezone="Asia/Tokyo", fiscal_year_start=2) == {}
        assert company.differences() == {}
        # An amount that no decimal holds stops the build when what has changed is already taken out.
        company.change(
            "create table main.rates as from finance.fx_rates;"
            " create table main.changes as from crm.opportunity_history;"
            f" update finance.fx_rates set rate = 9999999999 where rate_date > date '{as_of:%Y-%m-%d}' - 30;"
            " update crm.opportunity_history set new_value = '99999999' where field = 'amount'"
            f" and opportunity_id in (from core.opportunities select opportunity_id"
            f" where currency = 'EUR' and coalesce(closed_at > timestamptz '{as_of}' - interval 9 day, true))"
        )
        assert company.build()["marts__pipeline_daily"] == "error"
        company.change("create or replace table finance.fx_rates as from main.rates")
        company.change("create or replace table crm.opportunity_history as from main.changes")
        assert company.differences() == {}
