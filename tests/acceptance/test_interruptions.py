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

WHAT_IS_HELD = "gate_status|holds"

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


def judging(revops: Revops) -> bool:
    """Whether the gates are at work."""
    log = revops.home / "run.log"
    return log.exists() and "gates starts" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        (signal.SIGKILL, loading_mailshake),
        (signal.SIGINT, loading_stripe),
        (signal.SIGKILL, building),
        (signal.SIGINT, building),
        (signal.SIGKILL, judging),
        (signal.SIGINT, judging),
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
    passed = small_company.tables(without=f"{WHEN_LOADED}|{WHAT_IS_HELD}")
    found = company.tables(without=f"{WHEN_LOADED}|{WHAT_IS_HELD}")
    reported = {name for name in passed if name.startswith("reported.")}
    assert {name: rows for name, rows in found.items() if name not in reported} == {
        name: rows for name, rows in passed.items() if name not in reported
    }


def test_a_first_run_with_a_gate_closed_publishes_the_rest_and_says_why(company: Revops) -> None:
    shown = company("kpis", "--period", "all").stdout
    assert "(held)" in shown
    values = {row["kpi"]: row for row in company.json("kpis", "--period", "all")}
    assert (values["arr"]["value"], values["arr"]["gate_status"]) == (None, "held")
    assert values["win_rate"]["value"] is not None and values["win_rate"]["gate_status"] == "warned"
    reported = {row["kpi"] for row in company.json("kpis", "--as-reported")}
    assert "win_rate" in reported and "arr" not in reported
    found = company.json("gaps", "--severity", "critical")
    assert {gap["gap_type"] for gap in found} >= {"won_without_billing", "paying_without_crm"}


def test_held_kpis_are_published_when_somebody_accepts_the_gaps(company: Revops) -> None:
    accept = ("--accept", "won_without_billing", "--accept", "paying_without_crm")
    assert "say why" in company("run", *accept, exits=1).stderr
    assert "there is no such gap type" in company("run", "--accept", "x", "--reason", "y", exits=1).stderr
    assert "say which" in company("run", "--reason", "y", exits=1).stderr.lower()
    company("run", *accept, "--reason", "billed by hand this month")
    values = {row["kpi"]: row for row in company.json("kpis", "--period", "all")}
    assert values["arr"]["value"] is not None and values["arr"]["gate_status"] == "warned"
    with company.marts() as marts:
        accepted = marts.execute(
            "select distinct gap_type, accepted_because, accepted_by is not null, holds from marts.silo_gaps"
            " where accepted_at is not null order by all"
        ).fetchall()
    assert accepted == [
        (name, "billed by hand this month", True, None)
        for name in ("paying_without_crm", "won_without_billing")
    ]
    assert "billed by hand" in company("gaps", "--severity", "critical").stdout
    assert company.json("kpis", "--as-reported", "--kpi", "arr")
