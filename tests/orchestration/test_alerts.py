"""People hear of a run that failed and of KPIs that are held: by webhook and e-mail, from the real sensor."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from receiving import Mailbox, Webhook, mailbox, text_of, webhook
from revops import ROOT, Revops, copied, free_port

from orchestration.alert_delivery import hidden
from orchestration.alerts import MOST_WAITING, NAME, State, sensors
from orchestration.dbt_manifest import build_manifest
from orchestration.definitions import build
from orchestration.environment import Environment, load_environment, prepare_folders
from orchestration.keys import PUBLISHED

KEY = "sk_live_not_the_right_one"
TOKEN = "hook-token-that-nobody-may-see"
PERSON = "ann.example@umbralabs.example"
UI = "https://dagster.company.example"


class Watched:
    """A company with its sensor, evaluated as Dagster's daemon does."""

    def __init__(self, revops: Revops, environment: Environment, hook: Webhook, box: Mailbox) -> None:
        self.revops, self.environment, self.hook, self.box = revops, environment, hook, box
        self.definitions = build(environment)
        self.cursor: str | None = None

    def tick(self) -> Any:
        """As where the code runs, which has the vendors' keys."""
        os.environ["SOURCES__STRIPE__API_KEY"] = KEY
        try:
            return self._evaluated()
        finally:
            del os.environ["SOURCES__STRIPE__API_KEY"]

    def _evaluated(self) -> Any:
        sensor = self.definitions.get_repository_def().get_sensor_def(NAME)
        with (
            dg.DagsterInstance.from_config(str(self.environment.home.dagster)) as instance,
            dg.build_sensor_context(
                instance, self.cursor, definitions=self.definitions, sensor_name=NAME
            ) as context,
        ):
            done = sensor.evaluate_tick(context)
        self.cursor = done.cursor
        return done

    def run(self, exits: int, *changes: tuple[str, str], **environment: str) -> None:
        text = self.revops.config.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        config = self.revops.config.with_name("changed.toml")
        config.write_text(text, encoding="utf-8")
        Revops(self.revops.home, config, environment)("run", exits=exits)


@pytest.fixture(scope="module")
def watched(small_company: Revops, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    revops = copied(small_company, tmp_path_factory.mktemp("alerted"))
    text = revops.config.read_text(encoding="utf-8")
    revops.config.write_text(f'{text}\n[alerts]\nui_url = "{UI}"\n', encoding="utf-8")
    before = dict(os.environ)
    with webhook() as hook, mailbox() as box, started(revops):
        os.environ.update(
            REVOPS_HOME=str(revops.home),
            ALERTS__ADDRESSES=f"json://127.0.0.1:{hook.port}/{TOKEN} "
            f"mailto://127.0.0.1:{box.port}?from=revops@warehouse.example&to=oncall@company.example",
        )
        try:
            environment = load_environment(revops.config)
            prepare_folders(environment.home)
            build_manifest(environment)
            yield Watched(revops, environment, hook, box)
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextlib.contextmanager
def started(revops: Revops) -> Iterator[None]:
    """The company's systems answer while in the block, so that a run need not start them."""
    with revops.start("sandbox", "serve") as server:
        try:
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate()


def assert_nothing_leaks(*texts: str) -> None:
    for text in texts:
        for secret in (KEY, TOKEN, "oncall@company.example", PERSON):
            assert secret not in text
        assert re.search(r"[\w.]+@[\w.]+", text) is None, text


@dataclass(frozen=True)
class Told:
    """What people heard of one run that failed, published, and held KPIs back."""

    posted: list[dict[str, Any]]
    mailed: list[EmailMessage]
    skipped: str  # what the first tick said, in which the webhook took nothing
    logged: str

    def of(self, kind: str) -> dict[str, Any]:
        (found,) = [one for one in self.posted if one["type"] == kind]
        return found


@pytest.fixture(scope="module")
def told(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Told:
    watched.tick()  # from here on
    mapping = (ROOT / "mappings" / "finance.toml").read_text(encoding="utf-8")
    own = tmp_path_factory.mktemp("mapping") / "finance.toml"
    own.write_text(mapping.replace('amount = "amount"', f"amount = \"amont || '{PERSON}'\"", 1), "utf-8")
    watched.run(
        1,
        (f"{ROOT}/mappings/finance.toml", str(own)),
        ("[sandbox]", "[thresholds]\nhold_share = 0\n\n[sandbox]"),
        SOURCES__STRIPE__API_KEY=KEY,
    )
    logged = io.StringIO()
    with watched.hook.answering(503), contextlib.redirect_stderr(logged):
        done = watched.tick()
    assert watched.hook.taken() == []
    watched.tick()
    assert State.read(watched.cursor).waiting == []
    return Told(watched.hook.taken(), watched.box.received, done.skip_message, logged.getvalue())


def test_a_failed_run_is_told_with_asset_cause_owner_and_link(watched: Watched, told: Told) -> None:
    posted = told.of("failure")
    assert posted["title"].startswith("revenue_pipeline failed: ")
    assert set(posted["title"].split(": ")[1].split(", ")) == {"load_stripe", "load_finance"}
    said = posted["message"]
    assert said.startswith(
        "Sandbox Inc.: a run of revenue_pipeline failed. The marts are published all the same"
    )
    assert re.search(r"load_stripe \(raw_stripe/\w+, raw_stripe/\w+, .* and \d+ more\), for [\w, ]+:\n", said)
    assert re.search(
        r"source 'stripe': /stripe/v1/\S+ refused the credentials .*SOURCES__STRIPE__API_KEY", said
    )
    assert "amount = \"amont || '(e-mail address)'\"" in said
    assert "has no column 'amont'" in said
    (run_id,) = re.findall(rf"{UI}/runs/(\S+)$", said)
    with dg.DagsterInstance.from_config(str(watched.environment.home.dagster)) as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None and run.status == dg.DagsterRunStatus.FAILURE


def test_held_kpis_are_told_with_gap_owner_money_and_link(told: Told) -> None:
    posted = told.of("warning")
    gates = posted["title"].removeprefix("KPIs held back: ").split(", ")
    assert "won_without_billing" in gates
    kpis, *said, _, link = posted["message"].split("\n\n")
    assert "arr" in kpis.split(": ")[-1].rstrip(".").split(", ")
    assert [part.split(",")[0] for part in said] == gates
    (billing,) = [part for part in said if part.startswith("won_without_billing")]
    assert re.match(
        r"won_without_billing, for finance: \d+ won deal\(s\) older .*, [\d,]+\.\d\d USD at risk\. .*Fix: ",
        billing,
    )
    assert link.startswith(f"{UI}/runs/")


def test_who_takes_an_alert_gets_it_once_and_who_does_not_gets_it_at_the_next_tick(told: Told) -> None:
    assert "address 1 json: it answered with HTTP 503. It is tried again at the next tick" in told.logged
    assert "address 1 json waits: it answered with HTTP 503" in told.skipped
    assert [one["type"] for one in told.posted] == ["failure", "warning"]
    assert [mail["subject"] for mail in told.mailed] == [one["title"] for one in told.posted]
    assert {mail["to"] for mail in told.mailed} == {"oncall@company.example"}
    for mail, posted in zip(told.mailed, told.posted, strict=True):
        assert posted["message"].splitlines()[-1] in text_of(mail)


def test_nothing_of_it_shows_a_person_an_address_or_a_key(told: Told) -> None:
    assert_nothing_leaks(told.logged, told.skipped, json.dumps(told.posted), *map(text_of, told.mailed))


def test_what_is_held_is_not_told_again_until_it_is_free(watched: Watched, told: Told) -> None:
    with dg.DagsterInstance.from_config(str(watched.environment.home.dagster)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(PUBLISHED))  # and nothing has changed
    assert watched.tick().skip_message == "nothing to tell"
    watched.run(0)
    watched.tick()
    (posted,) = watched.hook.taken()
    assert (posted["type"], posted["title"]) == ("success", "KPIs are free again")
    assert "won_without_billing" in posted["message"]


def test_the_owners_are_those_of_the_graph(watched: Watched) -> None:
    @dg.asset(owners=["team:finance", "team:deal_desk"])
    def prices() -> None:
        raise ValueError(f"{PERSON} owes 5")

    definitions = dg.Definitions(
        assets=[prices],
        jobs=[dg.define_asset_job("pricing", [prices])],
        sensors=sensors(watched.environment),
    )
    sensor = definitions.get_repository_def().get_sensor_def(NAME)
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None) -> str | None:
            with dg.build_sensor_context(
                instance, cursor, definitions=definitions, sensor_name=NAME
            ) as context:
                return sensor.evaluate_tick(context).cursor

        cursor = tick(None)
        definitions.resolve_job_def("pricing").execute_in_process(instance=instance, raise_on_error=False)
        tick(cursor)
    (posted,) = watched.hook.taken()
    assert posted["title"] == "pricing failed: prices"
    assert (
        "prices (prices), for deal_desk, finance:\nValueError, a fault of the pipeline" in posted["message"]
    )
    assert_nothing_leaks(json.dumps(posted))


def test_no_more_wait_than_can_be_kept(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS__ADDRESSES", f"json://127.0.0.1:{free_port()}/{TOKEN}")
    state = State.read(watched.cursor)
    one = {"alert": {"kind": "info", "title": "old", "body": "old"}, "to": ["1 json"]}
    known = json.loads(state.written())
    watched.cursor = json.dumps({**known, "waiting": [one] * (MOST_WAITING + 5)})
    done = watched.tick()
    assert "address 1 json waits: it cannot be reached" in done.skip_message
    assert len(State.read(watched.cursor).waiting) == MOST_WAITING


def test_without_addresses_or_events_there_is_no_sensor(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sensor,) = sensors(watched.environment)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    text = watched.revops.config.read_text(encoding="utf-8")
    silent = watched.revops.config.with_name("silent.toml")
    silent.write_text(text.replace("[alerts]", "[alerts]\nevents = []"), encoding="utf-8")
    assert sensors(load_environment(silent)) == []
    monkeypatch.delenv("ALERTS__ADDRESSES")
    assert sensors(load_environment(watched.revops.config)) == []


def test_the_command_tries_every_address_and_says_which_kind_works(watched: Watched) -> None:
    here = {"ALERTS__ADDRESSES": os.environ["ALERTS__ADDRESSES"]}
    revops = Revops(watched.revops.home, watched.revops.config, here)
    watched.hook.taken()
    assert revops("alerts").stdout.splitlines() == [
        f"Alerts on: failed, held. Links lead to {UI}",
        "They go to: 1 json, 2 mailto",
    ]
    assert watched.hook.taken() == []
    assert revops("alerts", "--test").stdout.splitlines() == ["1 json: sent", "2 mailto: sent"]
    (posted,) = watched.hook.taken()
    assert posted["title"] == "A test of revops alerts"

    dead = f"json://127.0.0.1:{free_port()}/{TOKEN} nonsense://{TOKEN} {here['ALERTS__ADDRESSES']}"
    done = Revops(revops.home, revops.config, {"ALERTS__ADDRESSES": dead})("alerts", "--test", exits=1)
    assert done.stdout.splitlines() == [
        *("1 json: not sent", "2 (no address that Apprise knows): not sent"),
        *("3 json: sent", "4 mailto: sent"),
    ]
    first, second = done.stderr.removeprefix("revops: ").splitlines()
    assert first == "address 1 json: it cannot be reached, or did not take it in time"
    assert second.startswith(
        "address 2 (no address that Apprise knows): Apprise does not know such an address"
    )
    assert TOKEN not in done.stdout + done.stderr

    nobody = Revops(revops.home, revops.config, {"ALERTS__ADDRESSES": ""})("alerts", "--test", exits=1)
    assert "no alert goes to anybody. Set the environment variable ALERTS__ADDRESSES" in nobody.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"contact {PERSON} is gone", "contact (e-mail address) is gone"),
        ("/lists/1/members/ann%40umbralabs.example?x=1 failed", "(e-mail address) failed"),
        ("Could not convert string 'Ann Example' to INT32", "Could not convert string (not shown) to INT32"),
        (f"key {KEY} refused", "key (secret) refused"),
    ],
)
def test_no_text_shows_a_person_a_value_or_a_secret(
    monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    monkeypatch.setenv("SOURCES__STRIPE__API_KEY", KEY)
    assert hidden(text) == shown


def test_secrets_of_the_file_are_hidden_too(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(
        f'[sources.crm]\nclient_secret = "{KEY}"\n[alerts]\naddresses = ["json://127.0.0.1:1/{TOKEN}"]\n'
    )
    said = "import sys; from orchestration.alert_delivery import hidden; print(hidden(sys.argv[1]))"
    asked = f"{KEY} json://127.0.0.1:1/{TOKEN}"
    without = {name: value for name, value in os.environ.items() if name != "ALERTS__ADDRESSES"}
    done = subprocess.run(
        [sys.executable, "-c", said, asked],
        cwd=tmp_path,
        env=without,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(secret) (secret)\n"
