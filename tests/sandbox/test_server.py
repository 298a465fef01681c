"""The sandbox's server: keys, rate limits, faults on demand, a clock that goes on, a process that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from serving import serving
from starlette.applications import Starlette

from sandbox import server
from sandbox.api import stripe
from sandbox.client import is_running, running
from sandbox.server import RateLimiter, app, serve
from sandbox.state import Company, State, advance, prepare, read_state, state_file, write_state
from settings.errors import UserError

SMALL = State(seed=5, months=3, size=30)
BEARER = "Bearer sandbox-{}-key"
PAGES = {
    "hubspot": "/hubspot/crm/v3/objects/companies?limit=5&properties=name",
    "mailchimp": "/mailchimp/3.0/campaigns?count=5",
    "mailshake": "/mailshake/2017-04-01/campaigns/list?perPage=5",
    "stripe": "/stripe/v1/customers?limit=5",
}
#: Where each vendor's error body keeps its message.
SAYS = {
    "hubspot": lambda body: body["message"],
    "mailchimp": lambda body: body["detail"],
    "mailshake": lambda body: body["error"],
    "stripe": lambda body: body["error"]["message"],
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder = tmp_path_factory.mktemp("company")
    write_state(folder, SMALL)
    return Company(folder)


@pytest.fixture(scope="module")
def served(company: Company) -> Iterator[str]:
    with serving(app(company.world, company.advance, company.folder)) as address:
        yield address


@pytest.fixture
def base_url(served: str) -> Iterator[str]:
    """A server without faults."""
    yield served
    requests.delete(f"{served}/_sandbox/faults", timeout=5).raise_for_status()


def get(base_url: str, vendor: str = "stripe") -> requests.Response:
    key = f"sandbox-{vendor}-key"
    if vendor == "mailshake":
        return requests.get(f"{base_url}{PAGES[vendor]}&apiKey={key}", timeout=10)
    headers = {"Authorization": f"Bearer {key}"}
    return requests.get(base_url + PAGES[vendor], headers=headers, timeout=10)


def fault(base_url: str, kind: str, path: str = "/v1/customers", **more: Any) -> None:
    body = {"path": path, "kind": kind, **more}
    requests.post(f"{base_url}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("vendor", PAGES)
def test_a_vendor_answers_its_key_and_nobody_else(base_url: str, vendor: str) -> None:
    assert get(base_url, vendor).status_code == 200
    refused = requests.get(base_url + PAGES[vendor], timeout=5)
    assert refused.status_code == 401
    assert SAYS[vendor](refused.json())


@pytest.mark.parametrize("vendor", PAGES)
def test_past_its_rate_limit_a_vendor_says_when_to_come_back(
    company: Company, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.VENDORS[vendor], "LIMIT", (2, 1))
    with serving(app(company.world)) as base_url:
        answers = [get(base_url, vendor) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["Retry-After"] == "1"
        assert SAYS[vendor](answers[2].json())
        time.sleep(1)
        assert get(base_url, vendor).status_code == 200


def test_the_limit_holds_in_every_stretch_of_its_seconds() -> None:
    times = [0.0, 4.0, 8.0, 8.5, 9.9, 10.0, 10.1, 14.0]
    limiter = RateLimiter((3, 10), iter(times).__next__)
    assert [limiter.wait() for _ in times] == [0, 0, 0, 2, 1, 0, 4, 0]


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("401", 401), ("429", 429)])
def test_a_refusal_lasts_as_often_as_asked(base_url: str, kind: str, status: int) -> None:
    fault(base_url, kind, times=2)
    answers = [get(base_url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert (answers[0].headers.get("Retry-After") == "1") == (kind == "429")
    assert get(base_url, "hubspot").status_code == 200


def test_a_fault_without_times_lasts_until_cleared(base_url: str) -> None:
    fault(base_url, "500", times=None)
    assert [get(base_url).status_code for _ in range(3)] == [500] * 3
    requests.delete(f"{base_url}/_sandbox/faults", timeout=5).raise_for_status()
    assert get(base_url).status_code == 200


def test_broken_json_has_a_good_status(base_url: str) -> None:
    fault(base_url, "broken_json", times=1)
    answer = get(base_url)
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_slow_answers_come_late(base_url: str) -> None:
    fault(base_url, "slow", times=1, seconds=0.6)
    started = time.monotonic()
    assert get(base_url).json()["data"]
    assert time.monotonic() - started >= 0.6


def test_a_new_field_is_in_every_record(base_url: str) -> None:
    before = get(base_url).json()["data"]
    fault(base_url, "new_field", times=1)
    assert get(base_url).json()["data"] == [record | {"x": "new"} for record in before]
    fault(base_url, "new_field", f"/v1/customers/{before[0]['id']}", field="score", times=1)
    headers = {"Authorization": f"Bearer {stripe.KEY}"}
    one = requests.get(f"{base_url}/stripe/v1/customers/{before[0]['id']}", headers=headers, timeout=5)
    assert one.json() == before[0] | {"score": "new"}


def test_half_of_the_records_come_with_the_paging_intact(base_url: str) -> None:
    whole = get(base_url).json()
    fault(base_url, "half")
    half = get(base_url).json()
    assert half == whole | {"data": [whole["data"][place] for place in (0, 2, 4)]}
    headers = {"Authorization": f"Bearer {stripe.KEY}"}
    key = whole["data"][0]["id"]
    one = requests.get(f"{base_url}/stripe/v1/customers/{key}", headers=headers, timeout=5).json()
    assert one == whole["data"][0]


def test_half_of_a_list_that_is_counted_has_half_of_the_total(base_url: str) -> None:
    def found() -> Any:
        headers = {"Authorization": "Bearer sandbox-hubspot-key"}
        asked = {"sorts": [], "properties": ["name"], "limit": 4}
        url = f"{base_url}/hubspot/crm/v3/objects/companies/search"
        return requests.post(url, json=asked, headers=headers, timeout=5).json()

    whole = found()
    fault(base_url, "half", "/search")
    half = found()
    assert half == whole | {"total": -(-whole["total"] // 2), "results": whole["results"][1::2]}


def test_a_flipped_type_is_a_list_everywhere(base_url: str) -> None:
    before = get(base_url, "hubspot").json()["results"]
    fault(base_url, "flip_type", "companies", field="name", times=1)
    flipped = get(base_url, "hubspot").json()["results"]
    assert [r["properties"]["name"] for r in flipped] == [[r["properties"]["name"]] for r in before]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"path": "x", "kind": "fire"}, "kind 'fire' is none of 500"),
        ({"path": "(", "kind": "500"}, "path is not a regular expression"),
        ({"kind": "500"}, "path is not a regular expression"),
        ({"path": "x", "kind": "500", "times": 0}, "times is a number"),
        ({"path": "x", "kind": "slow", "seconds": "long"}, "seconds is a number"),
        ({"path": "x", "kind": "flip_type"}, "needs a field"),
        ({"path": "x", "kind": "500", "often": 1}, "unknown key 'often'"),
        ([], "not a JSON object"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(base_url: str, asked: Any, says: str) -> None:
    answer = requests.post(f"{base_url}/_sandbox/faults", json=asked, timeout=5)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert get(base_url).status_code == 200


def test_time_goes_on_and_a_restart_finds_the_same_world(tmp_path: Path) -> None:
    write_state(tmp_path, SMALL)
    company = Company(tmp_path)
    with serving(app(company.world, company.advance, tmp_path)) as base_url:
        first = company.world()
        spend = (tmp_path / "finance" / "spend.csv").read_text()
        posted = requests.post(f"{base_url}/_sandbox/advance", json={"days": 31}, timeout=20)
        assert posted.json()["now"] == "2025-03-04T00:00:00+00:00"
        second = company.world()
        assert len(second.email.events) > len(first.email.events)
        assert (tmp_path / "finance" / "spend.csv").read_text().startswith(spend)
        assert len((tmp_path / "finance" / "spend.csv").read_text()) > len(spend)

        advance(tmp_path, 2)  # from another process, say
        found = is_running(base_url)
        assert found == {
            "sandbox": "revops",
            "now": "2025-03-06T00:00:00+00:00",
            "seed": 5,
            "home": str(tmp_path),
        }
        for wrong in ({"days": 0}, {"days": "2"}, {}, [1]):
            answer = requests.post(f"{base_url}/_sandbox/advance", json=wrong, timeout=5)
            assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert Company(tmp_path).world() == company.world()


def test_another_company_starts_over_the_same_one_goes_on(tmp_path: Path) -> None:
    assert read_state(tmp_path) == State()
    assert prepare(tmp_path, SMALL) == SMALL
    gone_on = advance(tmp_path, 7)
    assert prepare(tmp_path, SMALL) == gone_on == read_state(tmp_path)
    for other in (State(6, 3, 30), State(6, 3, 30, noise=False)):
        assert prepare(tmp_path, other) == read_state(tmp_path) == other
    with pytest.raises(UserError, match="by 1 to 36500 days, not -1"):
        advance(tmp_path, -1)


def test_a_state_nobody_can_read_is_one_message(tmp_path: Path) -> None:
    state_file(tmp_path).write_text("{")
    with pytest.raises(UserError, match=r"state.json does not describe a sandbox company"):
        read_state(tmp_path)
    company = Company(tmp_path)
    with serving(app(company.world)) as base_url:
        assert "state.json" in get(base_url).json()["error"]


def test_a_port_that_another_program_uses_is_named(tmp_path: Path) -> None:
    with serving(Starlette()) as base_url:
        port = int(base_url.rpartition(":")[2])
        with pytest.raises(UserError, match=f"another program answers at {base_url}"):
            is_running(base_url)
        with pytest.raises(UserError, match="another program"), running(tmp_path, port):
            pass
        with pytest.raises(UserError, match="another program"):
            serve(tmp_path, port=port)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        taken = f"did not start.*cannot listen on 127.0.0.1:{port}"
        with pytest.raises(UserError, match=taken), running(tmp_path, port):
            pass
        silent.listen()
        with pytest.raises(UserError, match="does not answer as the sandbox"):
            is_running(f"http://127.0.0.1:{port}", timeout=0.2)


def test_a_sandbox_runs_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    write_state(tmp_path, SMALL)
    port = free_port()
    with running(tmp_path, port) as base_url:
        assert get(base_url).json()["data"]
        with running(tmp_path, port) as same:
            assert same == base_url
        assert is_running(base_url)
        differs = f"the sandbox of {tmp_path} runs at {base_url}, not that of"
        with pytest.raises(UserError, match=differs), running(tmp_path / "other", port):
            pass
        with pytest.raises(UserError, match=f"served already, by the sandbox of {tmp_path}"):
            serve(tmp_path, port=port)
    assert is_running(base_url) is None


def test_a_sandbox_does_not_outlive_the_process_that_started_it(tmp_path: Path) -> None:
    write_state(tmp_path, SMALL)
    port = free_port()
    script = (
        "import sys, time, pathlib; from sandbox.client import running\n"
        "with running(pathlib.Path(sys.argv[1]), int(sys.argv[2])): print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_running(f"http://127.0.0.1:{port}") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert is_running(f"http://127.0.0.1:{port}") is None
