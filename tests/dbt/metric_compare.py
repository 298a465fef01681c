"""What MetricFlow makes of the project's metrics against kpi_values, by period and segment."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import duckdb

from orchestration.metricflow import QUIET, mf_environment
from settings.paths import Home

#: KPIs that are products of figures of different spans of time, or of the first day of each length of time.
NO_METRIC = {
    *("pipeline_velocity", "clv", "ltv_cac", "dso_days", "magic_number"),
    *("pipeline_coverage", "slippage_rate", "slippage_rate_value"),
    *("forecast_wape", "forecast_mape", "forecast_bias"),  # only of four quarters and more
    "stage_dwell_days",  # a Kaplan-Meier median
}
SALES = (
    *("win_rate", "win_rate_value", "won_revenue"),
    *("sales_cycle_days", "sales_cycle_days_mean", "sales_cycle_days_p90"),
)
REVENUE = (
    *(
        "logo_churn_rate",
        "gross_mrr_churn_rate",
        "net_mrr_churn_rate",
        "involuntary_churn_rate",
        "expansion_rate",
    ),
    *("upsell_accounts", "mrr", "arr", "arpa", "quick_ratio", "nrr", "grr"),
)
LEADS = ("speed_to_lead_minutes", "lead_sla_miss_rate")
ATTRIBUTED = ("attributed_pipeline", "attributed_revenue")
#: Segment of kpi_values -> MetricFlow's dimension and the KPIs that have both.
SEGMENTS = {
    ("team", "opportunity__team"): SALES,
    ("owner", "opportunity__owner"): SALES,
    ("region", "opportunity__region"): SALES,
    ("product", "opportunity__product"): SALES,
    ("source", "opportunity__lead_source"): SALES,
    ("team", "lead__team"): LEADS,
    ("owner", "lead__owner"): LEADS,
    ("source", "lead__lead_source"): LEADS,
    ("stage", "stage_visit__stage"): ("stage_conversion",),
    ("team", "stage_visit__team"): ("stage_conversion",),
    ("team", "pipeline_day__team"): ("weighted_pipeline",),
    ("owner", "pipeline_day__owner"): ("weighted_pipeline",),
    ("team", "rep_month__team"): ("quota_attainment",),
    ("owner", "rep_month__owner"): ("quota_attainment",),
    ("country", "account_month__country"): REVENUE,
    ("size", "account_month__size"): REVENUE,
    ("source", "account_month__lead_source"): REVENUE,
    ("channel", "credit__channel"): ATTRIBUTED,
    ("campaign", "credit__campaign"): ATTRIBUTED,
}

#: Every query in one process: the first pays for the imports.
_ALL = QUIET + "import json, sys\nfor one in json.loads(sys.argv[1]): cli(one, standalone_mode=False)\n"

Key = tuple[str, str, str, str, str]


def differences(home: Path, folder: Path) -> list[str]:
    """Every value that is not the same in both, to 1e-9; no row is as good as no value, or 0."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        published = {
            row[:5]: row[5]
            for row in warehouse.execute(
                "select kpi, period, cast(period_start as varchar), segment, segment_value,"
                " cast(value as double) from marts.kpi_values"
            ).fetchall()
        }
        [(first,)] = warehouse.execute(
            "select cast(period_start as varchar) from core.calendar where period = 'all'"
        ).fetchall()
    periods: dict[str, set[str]] = {}
    for kpi, period, _, _, _ in published:
        if kpi not in NO_METRIC:
            periods.setdefault(period, set()).add(kpi)
    asked = [(period, "all", "all", sorted(kpis)) for period, kpis in sorted(periods.items())]
    asked += [("quarter", *pair, sorted(kpis)) for pair, kpis in SEGMENTS.items()]
    answers = _answers(Home(home), asked, folder)
    found = []
    for (period, segment, dimension, kpis), rows in zip(asked, answers, strict=True):
        metric: dict[Key, float | None] = {}
        for row in rows:
            start = first if period == "all" else row[f"metric_time__{period}"][:10]
            value = "all" if segment == "all" else row[dimension]
            for kpi in kpis:
                metric[kpi, period, start, segment, value] = float(row[kpi]) if row[kpi] else None
        wanted = {
            key: value
            for key, value in published.items()
            if key[0] in kpis and key[1] == period and key[3] == segment
        }
        assert any(wanted.values()), (period, segment, kpis)
        for key in sorted(wanted.keys() | metric.keys()):
            here, there = wanted.get(key) or 0, metric.get(key) or 0
            if abs(here - there) > 1e-9 * max(1, abs(here)):
                found.append(f"{' '.join(key)}: kpi_values has {here}, MetricFlow {there}")
    return found


def _answers(
    home: Home, asked: list[tuple[str, str, str, list[str]]], folder: Path
) -> list[list[dict[str, str]]]:
    commands = []
    for number, (period, segment, dimension, kpis) in enumerate(asked):
        by = [] if period == "all" else [f"metric_time__{period}"]
        by += [] if segment == "all" else [dimension]
        grouped = ["--group-by", ",".join(by)] if by else []
        file = str(folder / f"{number}.csv")
        commands.append(["query", "--quiet", "--metrics", ",".join(kpis), *grouped, "--csv", file])
    done = subprocess.run(
        [sys.executable, "-c", _ALL, json.dumps(commands)],
        env=mf_environment(home),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = []
    for number in range(len(asked)):
        with (folder / f"{number}.csv").open(encoding="utf-8") as answer:
            found.append(list(csv.DictReader(answer)))
    return found
