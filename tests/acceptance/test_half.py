"""A connector that from one day on returns half of its records: the next run says so."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from revops import Revops, copied


@pytest.fixture
def company(noisy_company: Callable[[int], Revops], tmp_path: Path) -> Iterator[tuple[Revops, str]]:
    """A company a week after its first run, and where its tools can be told to fail."""
    revops = copied(noisy_company(7), tmp_path / "company")
    revops("sandbox", "advance", "--days", "7")
    port = revops.config.read_text(encoding="utf-8").split("port = ")[1].split()[0]
    address = f"http://127.0.0.1:{port}/"
    with revops.start("sandbox", "serve") as server:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(requests.ConnectionError):
                    requests.get(address, timeout=60)
                    break
                time.sleep(0.1)
            yield revops, f"{address}_sandbox/faults"
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate()


def test_half_of_billing_and_of_the_mails(company: tuple[Revops, str]) -> None:
    revops, faults = company
    given = {
        "path": "^/stripe/|^/mailshake/.*activity",
        "kind": "half",
    }  # all of Stripe's lists, and what became of mails
    assert requests.post(faults, json=given, timeout=10).status_code == 201
    said = json.loads(revops("run", "--format", "json", exits=2).stdout)
    found = {gate["gap_type"]: gate["message"] for gate in said["gates"] if gate["found"]}
    assert (
        "billing stripe invoiced periods that their running subscriptions have begun"
        in found["incomplete_load"]
    )
    assert "email mailshake recipients who were written to" in found["incomplete_load"]
    with revops.marts() as marts:
        held = marts.execute("select distinct gate_status from marts.kpi_values where kpi = 'arr'").fetchall()
    assert held == [("held",)]


def test_half_of_the_crm(company: tuple[Revops, str]) -> None:
    revops, faults = company
    given = {"path": "^/hubspot/", "kind": "half"}
    assert requests.post(faults, json=given, timeout=10).status_code == 201
    assert "looks like a truncated answer" in revops("run", "--source", "hubspot", exits=1).stderr
