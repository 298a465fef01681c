"""Times the KPI engine: core and marts of 100,000 accounts with a million invoice lines in three years.

dbt builds and tests them in a process of its own on a warehouse that has the contract's tables and who is
who; seconds are of the build alone, without imports and parsing. Beside it the SELECTs of its tables run bare
in DuckDB, in the same order, into tables of a copy. Then the next day: its bills, deals and changes come in,
and all is built again. Last the queries of a dashboard, on the published marts. Limits: twice the bare
SELECTs and 4 GiB, a day at most 15 % of the full build, 100 ms for all but one query in twenty.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks import identity
from benchmarks.asked import PEAK, Asked, Verdicts
from expectations import register
from orchestration.publish import publish
from settings.paths import DBT_PROJECT, Home

MOST_RATIO, MOST_BYTES, MOST_SHARE, MOST_MILLISECONDS = 2.0, 4 * 2**30, 0.15, 100.0

_COMPANY, _DAY = Path(__file__).with_name("kpis_company.sql"), Path(__file__).with_name("kpis_day.sql")
_FIRST_DAY, NEXT_DAY = "2026-11-01 00:00:00+00", "2026-11-02 00:00:00+00"
_BUILD = (
    PEAK
    + """
import json, splink, sys, time
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
quiet = ["--log-level", "error", "--log-level-file", "none"]
given = ["--vars", sys.argv[2]]
parsed = dbtRunner().invoke([*quiet, "parse", *given])
assert isinstance(parsed.result, Manifest), parsed.exception
started = time.perf_counter()
built = dbtRunner(manifest=parsed.result).invoke(
    [
        *quiet, "build", *given, "--select", *sys.argv[1].split(),
        "--exclude-resource-type", *sys.argv[3].split(),
    ]
)
seconds = time.perf_counter() - started
troubles = [one for one in built.result if one.status not in ("success", "pass")]
assert built.success, [(one.node.name, one.message) for one in troubles]
models = [one.node for one in built.result if one.node.resource_type == "model"]
tables = [node for node in models if node.language == "sql" and node.config.materialized != "view"]
selects = [node.compiled_code for node in tables]
print(json.dumps({"seconds": seconds, "memory": peak_bytes(), "selects": selects}))
"""
)
_BARE = (
    PEAK
    + """
import duckdb, json, sys, time
with duckdb.connect("warehouse.duckdb", config={"threads": 2}) as connection:
    connection.execute("set timezone = 'UTC'; create schema bare")
    started = time.perf_counter()
    for place, select in enumerate(json.load(sys.stdin)):
        connection.execute(f"create table bare.t{place} as {select}")
    seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "memory": peak_bytes()}))
"""
)
#: What dashboards ask the marts.
QUERIES = {
    "headline KPIs by month": "select * from marts.kpi_values where period = 'month' and segment = 'all'",
    "win rate by team and quarter": """
        select period_start, segment_value, value from marts.kpi_values
        where kpi = 'win_rate' and period = 'quarter' and segment = 'team'""",
    "ARR bridge": "select * from marts.arr_bridge order by month",
    "MRR of an account": "select * from marts.mrr_monthly where account = 'crm:hub:a4000' order by month",
    "new and lost MRR by month": """
        select month, sum("new"), sum(expansion), sum(contraction), sum(churn)
        from marts.mrr_monthly group by month""",
    "open pipeline by stage, one day": """
        select stage, count(*), sum(amount) from marts.pipeline_daily
        where day = date '2026-06-30' and outcome = 'open' group by stage""",
    "open pipeline by day, a quarter": """
        select day, sum(amount) from marts.pipeline_daily
        where day >= date '2026-07-01' and day < date '2026-10-01' and outcome = 'open' group by day""",
    "conversion by cohort": """
        select cohort_month, stage, entered, conversion from marts.funnel_conversion where segment = 'all'""",
    "funnel of a quarter": """
        select count(lead_at), count(mql_at), count(sql_at), count(won_at) from marts.funnel
        where lead_at >= timestamptz '2026-07-01' and lead_at < timestamptz '2026-10-01'""",
    "retention": "select cohort_month, age, logo_retention, revenue_retention from marts.retention_cohorts",
    "best accounts": "select account, name, mrr, health from marts.accounts order by mrr desc limit 50",
    "renewals ahead": """
        select * from marts.renewals where due_at >= timestamptz '2026-11-01' order by due_at limit 100""",
    "bottlenecks": "select * from marts.bottlenecks where quarter = date '2026-07-01' order by rank",
    "reps": "select * from marts.rep_performance where month >= date '2026-01-01'",
    "channels": """
        select channel, sum(spend), sum(customers) from marts.channel_performance group by channel""",
    "open gaps": """
        select owner_team, severity, count(*) from marts.silo_gaps where resolved_at is null group by all""",
}
TIMES_EACH = 20


@dataclass(frozen=True)
class Measured:
    """Seconds and peak bytes by build, and the milliseconds of each run of each query."""

    accounts: int
    seconds: dict[str, float]
    memory: dict[str, int]
    milliseconds: dict[str, list[float]]


def home_of(asked: Asked) -> Home:
    """The state folder of the company, whose warehouse `measure` leaves as of `NEXT_DAY`."""
    return Home(asked.folder / "kpis")


def measure(asked: Asked) -> Measured:
    """The full build, its SELECTs run bare, the next day's build, and the queries."""
    home, accounts = home_of(asked), asked.accounts * 2
    home.root.mkdir()
    identity.execute(home.warehouse, identity.tables())
    with duckdb.connect(str(home.warehouse)) as warehouse:
        register.create(SimpleNamespace(run=warehouse.execute))  # type: ignore[arg-type]
    company = identity.COMPANY.format(accounts=accounts, contacts=accounts, each=1)
    identity.execute(home.warehouse, f"{company}; {_COMPANY.read_text()}")
    build(home, "fqn:identity", _FIRST_DAY)
    full = build(home, "fqn:core fqn:marts", _FIRST_DAY)
    copy = home.root / "bare"
    copy.mkdir()
    shutil.copy(home.warehouse, copy)
    bare = _run([_BARE], copy, json.dumps(full["selects"]))
    shutil.rmtree(copy)
    identity.execute(home.warehouse, _DAY.read_text())
    day = build(home, "fqn:core fqn:marts", NEXT_DAY)
    builds = {"full build": full, "bare SELECTs": bare, "next day": day}
    database = publish(home, datetime(2026, 11, 2, tzinfo=UTC)).database
    return Measured(
        accounts,
        {name: one["seconds"] for name, one in builds.items()},
        {name: one["memory"] for name, one in builds.items()},
        _queried(database),
    )


def build(home: Home, select: str, as_of: str, without: str = "unit_test") -> dict[str, Any]:
    """Let dbt build a selection, without some types: seconds, peak bytes and the SELECTs of its tables."""
    given = {"as_of": as_of, "silos": ["crm", "email", "billing", "finance"]}
    own = {
        "REVOPS_WAREHOUSE": str(home.warehouse),
        "DBT_TARGET_PATH": str(home.root / "dbt"),
        "DBT_LOG_PATH": str(home.root / "dbt"),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    return _run([_BUILD, select, json.dumps(given), without], DBT_PROJECT, "", own)


def _run(command: list[str], cwd: Path, given: str, own: dict[str, str] | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", *command],
        cwd=cwd,
        env={**os.environ, **(own or {})},
        input=given,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"core and marts failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _queried(database: Path) -> dict[str, list[float]]:
    milliseconds: dict[str, list[float]] = {name: [] for name in QUERIES}
    with duckdb.connect(str(database), read_only=True, config={"threads": 2}) as connection:
        for _ in range(TIMES_EACH):
            for name, query in QUERIES.items():
                started = time.perf_counter()
                connection.execute(query).fetchall()
                milliseconds[name].append(1000 * (time.perf_counter() - started))
    return milliseconds


def verdicts(found: Measured) -> Verdicts:
    """The figures that have limits."""
    full = found.seconds["full build"]
    figures = {
        "KPIs, full build / bare SELECTs": (full / found.seconds["bare SELECTs"], MOST_RATIO),
        "KPIs, next day / full build": (found.seconds["next day"] / full, MOST_SHARE),
        "KPIs, peak memory, GiB": (max(found.memory.values()) / 2**30, MOST_BYTES / 2**30),
        "mart queries, p95, ms": (_p95([*chain(*found.milliseconds.values())]), MOST_MILLISECONDS),
    }
    return {name: (value, limit, value <= limit) for name, (value, limit) in figures.items()}


def _p95(milliseconds: list[float]) -> float:
    return statistics.quantiles(milliseconds, n=20)[-1]


def figures(found: Measured) -> Any:
    """What was measured."""
    return vars(found)


def show(found: Measured, console: Console) -> None:
    """Seconds and memory of each build, milliseconds of each query."""
    table = Table("KPIs", title=f"Core and marts: {found.accounts:,} accounts", title_justify="left")
    for column in ("seconds", "peak memory"):
        table.add_column(column, justify="right")
    for name, seconds in found.seconds.items():
        table.add_row(name, f"{seconds:.1f}", f"{found.memory[name] / 2**30:.2f} GiB")
    console.print(table)
    table = Table("query", title="Milliseconds on the published marts", title_justify="left")
    for column in ("median", "p95"):
        table.add_column(column, justify="right")
    for name, times in found.milliseconds.items():
        table.add_row(name, f"{statistics.median(times):.1f}", f"{_p95(times):.1f}")
    console.print(table)
