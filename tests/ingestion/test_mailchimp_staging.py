"""dbt's Mailchimp staging over a warehouse the connector loaded, against what the sandbox company knows."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
import requests
from serving import serving

from ingestion.core import load_source
from sandbox.api import mailchimp as api
from sandbox.api import mailchimp_shapes as shapes
from sandbox.server import app
from sandbox.simulation import simulate
from sandbox.world import Campaign, EmailEvent, Recipient
from settings.config import SourceConfig
from settings.paths import Home

PROJECT = Path(__file__).parents[2] / "dbt_project"
ARCHIVED = "900002"
FLOW, STRANGER = "f10f10f10f", shapes.email_id("who@gone.test")


@pytest.fixture(scope="module")
def world():
    """A simulated company; of one newsletter a contact complained, another was archived."""
    world = simulate(seed=11, months=8, size=25)
    email, at = world.email, world.now - timedelta(days=3)
    owner = email.campaigns[0].owner_email
    email.campaigns.append(Campaign("900", "News", "marketing", owner, owner, at, ["901"]))
    for key in ("900001", ARCHIVED):
        address = f"p{key}@globex.test"
        email.recipients.append(
            Recipient(key, "900", address, "Pat", "Doe", "Globex", "finished", at, at)  # one of one is sent
        )
        email.events.append(EmailEvent(f"8{key}", "900", key, "901", address, "sent", at))
    complaint = EmailEvent("8900003", "900", "900001", "901", "p900001@globex.test", "complaint", world.now)
    email.events.append(complaint)
    return world


@pytest.fixture(scope="module")
def staged(world, tmp_path_factory):
    """A connection to the warehouse after a load and a dbt build of the staging models."""
    home = Home(tmp_path_factory.mktemp("mailchimp"))
    with serving(app(lambda: world)) as address:
        config = SourceConfig(name="mail_eu", silo="email", type="mailchimp", base_url=f"{address}/mailchimp")
        news, archived = world.email.campaigns[-1], shapes.email_id(f"p{ARCHIVED}@globex.test")
        url = f"{config.base_url}/3.0/lists/{shapes.list_id(news)}/members/{archived}"
        requests.delete(url, auth=("anybody", api.KEY), timeout=5).raise_for_status()
        load_source(config, world.now, home)
    with duckdb.connect(str(home.warehouse)) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        add_what_the_sandbox_never_does(warehouse, world.now)
    with pytest.MonkeyPatch.context() as monkeypatch:
        build(home, world, monkeypatch)
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        yield warehouse


def add_what_the_sandbox_never_does(warehouse, now):
    """A flow's e-mail to somebody whose audience was deleted since, who answered and was answered."""
    keys = {"_dlt_load_id": "1", "_loaded_at": now}
    whose = {"campaign_id": FLOW, "list_id": "gone", "email_id": STRANGER}
    report = {"id": FLOW, "type": "automation", "campaign_title": "Welcome", "send_time": now}
    about = {"conversation_id": "talk", "occurred_at": now, "is_automatic": False}
    for table, row in (
        ("reports", {**report, "list_id": "gone", "is_deleted": False}),
        ("sends", {**whose, "email_address": "who@gone.test"}),
        ("replies", {**whose, **about, "number": 1, "email_address": "who@gone.test"}),
        ("replies", {**whose, **about, "number": 2, "email_id": "0", "email_address": "us@acme.test"}),
    ):
        row = {**row, **keys}
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        warehouse.execute(f"insert into raw_mail_eu.{table} ({names}) values ({marks})", list(row.values()))


def build(home, world, monkeypatch):
    """`dbt build` of the vendor's models, their tests included, in a process of its own."""
    variables = {
        "as_of": world.now.isoformat(),
        "sources": [{"name": "mail_eu", "silo": "email", "type": "mailchimp"}],
        "source_types": ["mailchimp"],
        "silos": ["email"],
    }
    monkeypatch.setenv("REVOPS_WAREHOUSE", str(home.warehouse))
    monkeypatch.setenv("DBT_TARGET_PATH", str(home.root / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(home.root / "logs"))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet"]
    select = ["--select", "path:models/staging/mailchimp", "--vars", json.dumps(variables)]
    dbt = [sys.executable, "-m", "dbt.cli.main", "build", *places, *select]
    done = subprocess.run(dbt, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read(warehouse, model, columns, where="true"):
    place = warehouse.execute(
        "select schema_name from duckdb_views() where view_name = ?", [f"stg_mailchimp__{model}"]
    ).fetchone()[0]
    found = f"select {columns} from {place}.stg_mailchimp__{model} where {where}"
    return sorted(warehouse.execute(found).fetchall(), key=str)


def in_order(rows):
    return sorted(rows, key=str)


def test_campaigns(staged, world):
    columns = "campaign_id, name, sender_email, messages, created_at, archived_at is not null, is_deleted"
    truth = [
        (
            *(c.id, c.name, c.sender_email, len(c.message_ids), c.created_at),
            *(c.archived_at is not None, False),
        )
        for c in world.email.campaigns
    ]
    assert read(staged, "campaigns", columns) == in_order(
        [*truth, (FLOW, "Welcome", None, 1, world.now, False, False)]
    )


def test_recipients(staged, world):
    columns = (
        "recipient_id, campaign_id, email, first_name, last_name, company_name, status, is_deleted, added_at,"
        " unsubscribed_at"
    )
    truth = [
        (
            *(r.id, r.campaign_id, r.email, r.first_name, r.last_name, r.company_name),
            *(r.status, r.id == ARCHIVED, r.added_at, r.unsubscribed_at),
        )
        for r in world.email.recipients
    ]
    # A contact of an automation that waits for nothing more is done, a few days before a sequence says so.
    finished = {(r.id, r.status) for r in world.email.recipients} - {
        row[0:7:6] for row in read(staged, "recipients", columns)
    }
    assert {status for _, status in finished} <= {"active"}
    early = {key for key, _ in finished}
    truth = [(*row[:6], "finished", *row[7:]) if row[0] in early else row for row in truth]
    stranger = ("who@gone.test", None, None, None, "replied", True, None, None)
    assert read(staged, "recipients", columns) == in_order([*truth, (f"gone-{STRANGER}", FLOW, *stranger)])


def test_events(staged, world):
    sent = {
        (e.recipient_id, e.message_id): e.occurred_at for e in world.email.events if e.event_type == "sent"
    }
    letter = {"901": "900"}  # a regular campaign is its own message

    def is_machine(e):
        if e.event_type == "open":
            return e.occurred_at <= sent[e.recipient_id, e.message_id] + timedelta(minutes=2)
        return e.is_machine and e.event_type == "reply"

    columns = (
        "campaign_id, recipient_id, message_id, email, event_type, occurred_at, is_machine, bounce_type, link"
    )
    truth = [
        (
            *(e.campaign_id, e.recipient_id, letter.get(e.message_id, e.message_id), e.email),
            *(e.event_type, e.occurred_at, is_machine(e), e.bounce_type, e.link),
        )
        for e in world.email.events
    ]
    whose = (FLOW, f"gone-{STRANGER}", FLOW, "who@gone.test")
    truth += [(*whose, kind, world.now, False, None, None) for kind in ("sent", "reply")]
    assert read(staged, "events", columns) == in_order(truth)
    assert {e.event_type for e in world.email.events} == {
        *("sent", "open", "click", "reply", "bounce", "unsubscribe", "complaint")
    }


def test_leads(staged, world):
    columns = (
        "lead_id, recipient_id, campaign_id, email, status, assigned_to_email, created_at, closed_at,"
        " updated_at"
    )
    changed = shapes.Index(world).changed
    recipients = {r.id: r for r in world.email.recipients}
    assert read(staged, "leads", columns) == in_order(
        (
            *(one.recipient_id, one.recipient_id, one.campaign_id, one.email, one.status),
            *(one.assigned_to_email, one.created_at, one.closed_at, changed(recipients[one.recipient_id])),
        )
        for one in world.email.leads
    )
    assert world.email.leads
