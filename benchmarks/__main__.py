"""Times `revops run` beside its parts run bare (dlt loads, `dbt build`, Great Expectations), in turns.

All runs are warm: the company is loaded already and nothing has changed. Every command is a process of its
own and timed from outside, imports and all. Limits: `revops run` under 60 s on two cores and under 1.5 times
the sum of its parts, Great Expectations under a fifth of it. After that the load of many events
(`benchmarks.events`), who is who (`benchmarks.identity`), the KPI engine (`benchmarks.kpis`) and the gates
(`benchmarks.gates`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import events, gates, identity, kpis
from settings.paths import DBT_PROJECT, PROJECT, Home

LIMIT_SECONDS, LIMIT_RATIO, LIMIT_SHARE = 60.0, 1.5, 0.2
PORT = 8640
REVOPS = str(Path(sys.executable).with_name("revops"))

_LOADS = """
from orchestration.clock import as_of
from orchestration.environment import load_environment
from ingestion.core import load_source
from datetime import UTC, datetime
environment = load_environment()
instant = as_of(environment, None, datetime.now(UTC))
for source in environment.config.sources.values():
    load_source(source, instant, environment.home)
"""
_GATES = """
from orchestration.clock import as_of
from orchestration.environment import load_environment
from expectations.engine import run_gates
from datetime import UTC, datetime
environment = load_environment()
run_gates(environment.home, environment.config, as_of(environment, None, datetime.now(UTC)))
"""
_VARIABLES = """
import json
from orchestration.clock import as_of
from orchestration.dbt_variables import variables
from orchestration.environment import load_environment
from datetime import UTC, datetime
environment = load_environment()
print(json.dumps(variables(environment, as_of(environment, None, datetime.now(UTC)))))
"""


def main() -> int:
    """Measure and report; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times each command is run")
    parser.add_argument("--events", type=int, default=events.EVENTS, help="events that are loaded, and gated")
    parser.add_argument(
        "--accounts",
        type=int,
        default=identity.ACCOUNTS,
        help="accounts to tell apart; twice as many for the KPIs and the gates",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="revops-bench-") as folder:
        seconds = _measure(Path(folder), asked.rounds)
    loads = events.measure(asked.events)
    resolved = identity.measure(asked.accounts)
    with tempfile.TemporaryDirectory(prefix="revops-kpis-") as folder:
        home = Home(Path(folder))
        engine = kpis.measure(home, asked.accounts * 2)
        judged = gates.measure(home, asked.accounts * 2, asked.events)
    verdicts = events.verdicts(loads) | identity.verdicts(resolved)
    verdicts |= kpis.verdicts(engine) | gates.verdicts(judged)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    parts = sum(medians[name] for name in ("dlt loads", "dbt build", "Great Expectations"))
    ratio = medians["revops run"] / parts
    share = medians["Great Expectations"] / medians["revops run"]
    good = medians["revops run"] < LIMIT_SECONDS and ratio < LIMIT_RATIO and share < LIMIT_SHARE
    good = good and all(is_kept for _, _, is_kept in verdicts.values())
    if asked.format == "json":
        report = {"seconds": seconds, "medians": medians, "parts": parts, "ratio": ratio, "share": share}
        shown = {name: {"value": value, "limit": limit} for name, (value, limit, _) in verdicts.items()}
        report["events"] = {path: vars(one) for path, one in loads.items()}
        report["identity"] = {build: vars(one) for build, one in resolved.items()}
        report["kpis"] = vars(engine)
        report["gates"] = {run: vars(one) for run, one in judged.items()}
        print(json.dumps({**report, **shown, "good": good}))
    else:
        _show(seconds, medians, parts, ratio, share)
        events.show(loads, Console())
        identity.show(resolved, Console())
        kpis.show(engine, Console())
        gates.show(judged, Console())
    return 0 if good else 1


def _measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    config = folder / "revops.toml"
    text = (PROJECT / "revops.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("8600", str(PORT)).replace('"mappings/', f'"{PROJECT}/mappings/'))
    home = folder / "home"
    environment = {
        **os.environ,
        "REVOPS_HOME": str(home),
        "REVOPS_CONFIG": str(config),
        "REVOPS_WAREHOUSE": str(home / "warehouse.duckdb"),
        "DBT_TARGET_PATH": str(home / "bare"),
        "DBT_LOG_PATH": str(home / "bare"),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }

    def seconds(command: list[str], cwd: Path = folder) -> float:
        started = time.perf_counter()
        done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command[:3])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return time.perf_counter() - started

    seconds([REVOPS, "run"])
    asked = subprocess.run(
        [sys.executable, "-c", _VARIABLES],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    dbt = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build"]
    dbt += ["--exclude-resource-type", "unit_test", "--vars", asked.stdout.strip()]
    seconds(dbt, DBT_PROJECT)  # parsed once, as it is before a warm run
    found: dict[str, list[float]] = {}
    console = Console(stderr=True)
    for _ in track(range(rounds), "Measuring", console=console, disable=not console.is_terminal):
        found.setdefault("revops run", []).append(seconds([REVOPS, "run"]))
        with subprocess.Popen(
            [REVOPS, "sandbox", "serve"], env=environment, cwd=folder, stderr=subprocess.PIPE
        ) as server:
            assert server.stderr is not None
            server.stderr.readline()
            time.sleep(3)
            found.setdefault("dlt loads", []).append(seconds([sys.executable, "-c", _LOADS]))
            server.terminate()
        found.setdefault("dbt build", []).append(seconds(dbt, DBT_PROJECT))
        found.setdefault("Great Expectations", []).append(seconds([sys.executable, "-c", _GATES]))
    return found


def _show(
    seconds: dict[str, list[float]], medians: dict[str, float], parts: float, ratio: float, share: float
) -> None:
    table = Table("", title=f"Seconds, warm, {os.cpu_count()} cores", title_justify="left")
    for column in ("least", "median", "most"):
        table.add_column(column, justify="right")
    for name, times in seconds.items():
        table.add_row(name, f"{min(times):.1f}", f"{medians[name]:.1f}", f"{max(times):.1f}")
    table.add_section()
    table.add_row("sum of the parts", "", f"{parts:.1f}", "")
    console = Console()
    console.print(table)
    console.print(
        f"revops run / sum of the parts: {ratio:.2f} (limit {LIMIT_RATIO}); "
        f"revops run: {medians['revops run']:.1f} s (limit {LIMIT_SECONDS:.0f} s)"
    )
    missed = "" if share < LIMIT_SHARE else " MISSED"
    console.print(f"Great Expectations / revops run: {share:.2f} (limit {LIMIT_SHARE}){missed}")


if __name__ == "__main__":
    sys.exit(main())
