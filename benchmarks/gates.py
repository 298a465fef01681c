"""Times the gates: 100,000 accounts and 2,000,000 e-mail events, in the warehouse of `benchmarks.kpis`.

Each run is a process of its own, timed from outside: imports, Great Expectations, register and Data Docs are
in it. The second run is of the next day and compares with what the first has counted. Somebody was erased, so
that every text is searched for addresses. Limits: 60 s and 2 GiB.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import identity, kpis
from benchmarks.asked import PEAK, Asked, Verdicts
from settings.paths import Home

MOST_SECONDS, MOST_BYTES = 60.0, 2 * 2**30
#: Activities of an account in two years.
ACTIVITIES_EACH = 10

_COMPANY = Path(__file__).with_name("gates_company.sql")
#: By name, the instant of the run.
_RUNS = {"first run": kpis.NEXT_DAY, "next day": "2026-11-03 00:00:00+00"}
_GATES = (
    PEAK
    + """
import json, sys
from datetime import datetime
from pathlib import Path
from typing import Any
from expectations.engine import evaluate
from expectations.erased import Erased
from expectations.facts import Source
from settings.paths import Home
home = Home(Path(sys.argv[1]))
silos = {"hub": "crm", "mail": "email", "pay": "billing", "sheets": "finance"}
sources = [Source(name, silo, silo == "finance", None) for name, silo in silos.items()]
erased = Erased()
erased.people[erased.hash("gone@elsewhere.example")] = sys.argv[2]
as_of = datetime.fromisoformat(sys.argv[2])
report = evaluate(home.warehouse, home.register, sources, as_of, "USD", docs=home.docs, erased=erased)
print(json.dumps({"memory": peak_bytes(), "found": {one.gap_type: one.found for one in report.results}}))
"""
)


@dataclass(frozen=True)
class Measured:
    """One run: seconds on the clock and of the processor, peak memory in bytes, rows found by gate."""

    seconds: float
    processor: float
    memory: int
    found: dict[str, int]


def measure(asked: Asked) -> dict[str, Measured]:
    """Both runs, on the company that `kpis.measure` leaves; what gates compare is added to it."""
    home, accounts = kpis.home_of(asked), asked.accounts * 2
    if not home.warehouse.exists():
        kpis.measure(asked)
    company = _COMPANY.read_text(encoding="utf-8")
    given = {"accounts": accounts, "activities": accounts * ACTIVITIES_EACH, "events": asked.events}
    identity.execute(home.warehouse, company.format(**given))
    kpis.build(home, "core__opportunities core__stage_visits", kpis.NEXT_DAY, "unit_test test")
    return {name: _run(home, as_of) for name, as_of in _RUNS.items()}


def _run(home: Home, as_of: str) -> Measured:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _GATES, str(home.root), as_of], capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"the gates failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, processor, **json.loads(done.stdout.splitlines()[-1]))


def verdicts(found: dict[str, Measured]) -> Verdicts:
    """The figures that have limits."""
    seconds = max(one.seconds for one in found.values())
    memory = max(one.memory for one in found.values())
    return {
        "gates, s": (seconds, MOST_SECONDS, seconds < MOST_SECONDS),
        "gates, peak memory, GiB": (memory / 2**30, MOST_BYTES / 2**30, memory < MOST_BYTES),
    }


def figures(found: dict[str, Measured]) -> Any:
    """Of each what was measured."""
    return {name: vars(one) for name, one in found.items()}


def show(found: dict[str, Measured], console: Console) -> None:
    """Seconds, memory and gaps of each."""
    table = Table("gates", title="Gates, whole process", title_justify="left")
    for column in ("seconds", "of the processor", "peak memory", "gaps found"):
        table.add_column(column, justify="right")
    for name, one in found.items():
        memory, gaps = f"{one.memory / 2**30:.2f} GiB", f"{sum(one.found.values()):,}"
        table.add_row(name, f"{one.seconds:.1f}", f"{one.processor:.1f}", memory, gaps)
    console.print(table)
