"""Runs that are interrupted or killed half-way leave nothing behind that the next run does not mend."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from revops import SMALL, Revops, sandbox_company

#: What says when something was loaded, rather than what.
WHEN_LOADED = "_dlt_id|_dlt_load_id|_?loaded_at|last_load.*"

INTERRUPTED = "revops: interrupted; what was published is as it was, and the next run goes on from here\n"

HELD = "\n[thresholds]\nhold_share = 0\n"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    """Held back by the gates whenever it comes that far."""
    return sandbox_company(tmp_path_factory.mktemp("company"), **SMALL, extra=HELD)


def until(happened: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes(revops: Revops) -> dict[int, str]:
    """The processes that belong to a state folder, with their command lines; they have it from the run."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"REVOPS_HOME={revops.home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(process.name)] = command
    return found


def press_ctrl_c(revops: Revops, run: int) -> None:
    """As a terminal does it: every process of the run's group is told."""
    for process in sorted(processes(revops), reverse=True):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process) == os.getpgid(run):
                os.kill(process, signal.SIGINT)


def building(revops: Revops) -> bool:
    """Whether dbt is at work on the models."""
    log = revops.home / "run.log"
    return log.exists() and "OK created sql table" in log.read_text(encoding="utf-8")


def loading_mailshake(revops: Revops) -> bool:
    """Whether rows are on their way into the warehouse."""
    return any((revops.home / "dlt" / "revops_mailshake" / "load" / "normalized").glob("*"))


def loading_stripe(revops: Revops) -> bool:
    """The same of the source that comes last."""
    return any((revops.home / "dlt" / "revops_stripe" / "load" / "normalized").glob("*"))


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        (signal.SIGKILL, loading_mailshake),
        (signal.SIGINT, loading_stripe),
        (signal.SIGKILL, building),
        (signal.SIGINT, building),
    ],
)
def test_a_run_that_is_stopped_leaves_no_process_behind(
    company: Revops, sent: signal.Signals, moment: Callable[[Revops], bool]
) -> None:
    (company.home / "run.log").unlink(missing_ok=True)
    run = company.start("run")
    until(lambda: moment(company))
    if sent == signal.SIGINT:
        press_ctrl_c(company, run.pid)
    else:
        run.send_signal(sent)
    out, err = run.communicate(timeout=60)
    if sent == signal.SIGINT:
        assert (run.returncode, err) == (1, INTERRUPTED)
        assert "Traceback" not in out
    until(lambda: not processes(company), seconds=5)


def test_the_next_run_makes_the_warehouse_as_if_nothing_had_happened(
    company: Revops, small_company: Revops
) -> None:
    company("run", exits=2)
    published = small_company.tables(without=WHEN_LOADED)
    unreported = {name: rows for name, rows in published.items() if not name.startswith("reported.")}
    assert company.tables(without=WHEN_LOADED) == unreported


def test_a_first_run_held_back_publishes_nothing_and_says_why(company: Revops) -> None:
    assert not (company.home / "marts" / "current.duckdb").exists()
    assert company.tables("reported") == {}
    assert "no marts are published" in company("kpis", exits=1).stderr
    found = company.json("gaps", "--severity", "critical")
    assert {gap["gap_type"] for gap in found} >= {"won_without_billing", "paying_without_crm"}
