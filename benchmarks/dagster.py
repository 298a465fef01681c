"""Times `revops run` beside its parts run bare (dlt loads, `dbt build`, Great Expectations), in turns.

All runs are warm: the company is loaded already and nothing has changed. Every command is a process of its
own and timed from outside, imports and all. A run that builds everything again must take under 60 s on two
cores and under 1.25 times the sum of its parts, of which Great Expectations must be under a fifth of the run;
a run that finds nothing new under 20 s; Dagster's code location must load in 5 s.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.asked import Asked, Verdicts, most
from settings.paths import DBT_PROJECT, PROJECT

MOST_SECONDS, MOST_UNCHANGED, MOST_LOAD, MOST_RATIO, MOST_SHARE = 60.0, 20.0, 5.0, 1.25, 0.2
PORT = 8640
REVOPS = str(Path(sys.executable).with_name("revops"))

EVERYTHING, UNCHANGED, LOCATION = "revops run, everything", "revops run, nothing new", "code location"
LOADS, BUILD, GATES = "dlt loads", "dbt build", "Great Expectations"
PARTS = (LOADS, BUILD, GATES)

#: Builds every model, whether anything has changed or not.
_RUN_EVERYTHING = [REVOPS, "run", "--rebuild"]
#: To the moment it is loaded: what the process does after that, nobody waits for.
_LOCATION = "import os; from orchestration.definitions import defs; defs(); os._exit(0)"
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

Found = dict[str, list[float]]


@dataclass(frozen=True)
class _Company:
    """The project's own company, in a folder of its own."""

    folder: Path
    environment: dict[str, str]

    def answer(self, command: list[str], cwd: Path | None = None) -> str:
        """What a command prints; ends the benchmark if it fails."""
        done = subprocess.run(
            command, env=self.environment, cwd=cwd or self.folder, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{' '.join(command[:3])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def seconds(self, command: list[str], cwd: Path | None = None) -> float:
        """How long a command takes, from outside."""
        started = time.perf_counter()
        self.answer(command, cwd)
        return time.perf_counter() - started

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Its APIs answer while in the block, as they do in `revops run`."""
        command = [REVOPS, "sandbox", "serve"]
        with subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stderr=subprocess.PIPE
        ) as server:
            assert server.stderr is not None
            server.stderr.readline()
            time.sleep(3)
            yield
            server.terminate()


def measure(asked: Asked) -> Found:
    """Seconds of every command, each as often as there are rounds."""
    company = _company(asked.folder / "company")
    company.answer([REVOPS, "run"])
    dbt = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build"]
    given = company.answer([sys.executable, "-c", _VARIABLES]).strip()
    dbt += ["--exclude-resource-type", "unit_test", "--vars", given]
    company.answer(dbt, DBT_PROJECT)  # parsed once, as it is before a warm run
    found: Found = {}
    console = Console(stderr=True)
    for _ in track(range(asked.rounds), "Measuring", console=console, disable=not console.is_terminal):
        found.setdefault(EVERYTHING, []).append(company.seconds(_RUN_EVERYTHING))
        found.setdefault(UNCHANGED, []).append(company.seconds([REVOPS, "run"]))
        found.setdefault(LOCATION, []).append(company.seconds([sys.executable, "-c", _LOCATION]))
        with company.serving():
            found.setdefault(LOADS, []).append(company.seconds([sys.executable, "-c", _LOADS]))
        found.setdefault(BUILD, []).append(company.seconds(dbt, DBT_PROJECT))
        found.setdefault(GATES, []).append(company.seconds([sys.executable, "-c", _GATES]))
    return found


def _company(folder: Path) -> _Company:
    folder.mkdir()
    config, home = folder / "revops.toml", folder / "home"
    text = (PROJECT / "revops.toml").read_text(encoding="utf-8")
    config.write_text(text.replace("8600", str(PORT)).replace('"mappings/', f'"{PROJECT}/mappings/'))
    return _Company(
        folder,
        {
            **os.environ,
            "REVOPS_HOME": str(home),
            "REVOPS_CONFIG": str(config),
            "REVOPS_WAREHOUSE": str(home / "warehouse.duckdb"),
            "DBT_TARGET_PATH": str(home / "bare"),
            "DBT_LOG_PATH": str(home / "bare"),
            "DBT_PROFILES_DIR": str(DBT_PROJECT),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
    )


def _medians(found: Found) -> dict[str, float]:
    return {name: statistics.median(times) for name, times in found.items()}


def _parts(found: Found) -> float:
    medians = _medians(found)
    return sum(medians[name] for name in PARTS)


def verdicts(found: Found) -> Verdicts:
    """The figures that have limits, of the medians."""
    medians = _medians(found)
    return (
        most("revops run, everything, s", medians[EVERYTHING], MOST_SECONDS)
        | most("revops run, everything / sum of the parts", medians[EVERYTHING] / _parts(found), MOST_RATIO)
        | most("revops run, nothing new, s", medians[UNCHANGED], MOST_UNCHANGED)
        | most("code location, s", medians[LOCATION], MOST_LOAD)
        | most("Great Expectations / revops run", medians[GATES] / medians[EVERYTHING], MOST_SHARE)
    )


def figures(found: Found) -> Any:
    """Every time taken, the medians and the sum of the parts."""
    return {"seconds": found, "medians": _medians(found), "parts": _parts(found)}


def show(found: Found, console: Console) -> None:
    """The least, the median and the most of each."""
    table = Table("", title=f"Seconds, warm, {os.cpu_count()} cores", title_justify="left")
    for column in ("least", "median", "most"):
        table.add_column(column, justify="right")
    for name, median in _medians(found).items():
        times = found[name]
        table.add_row(name, f"{min(times):.1f}", f"{median:.1f}", f"{max(times):.1f}")
    table.add_section()
    table.add_row("sum of the parts", "", f"{_parts(found):.1f}", "")
    console.print(table)
