"""dbt's Stripe staging over a warehouse the connector loaded, against what the sandbox company knows."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import stripe_world

from ingestion.core import load_source
from sandbox.simulation import simulate
from settings.config import SourceConfig
from settings.paths import Home

PROJECT = Path(__file__).parents[2] / "dbt_project"
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", params=["hand-built", "simulated"])
def world(request):
    return stripe_world.build() if request.param == "hand-built" else simulate(seed=11, months=14, size=40)


@pytest.fixture(scope="module")
def built(world, tmp_path_factory):
    """A home to build once per world."""
    return Home(tmp_path_factory.mktemp("stripe"))


@pytest.fixture
def staged(world, built, sandbox_server, monkeypatch):
    """A connection to the warehouse after load and dbt build."""
    if not built.warehouse.exists():
        load_and_build(world, built, f"{sandbox_server(world)}/stripe", monkeypatch)
    with duckdb.connect(str(built.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        yield warehouse


def load_and_build(world, home, base_url, monkeypatch):
    config = SourceConfig(name="billing_eu", silo="billing", type="stripe", base_url=base_url)
    load_source(config, world.now, home)
    variables = {
        "as_of": world.now.isoformat(),
        "sources": [{"name": "billing_eu", "silo": "billing", "type": "stripe"}],
        "source_types": ["stripe"],
        "silos": ["billing"],
    }
    monkeypatch.setenv("REVOPS_WAREHOUSE", str(home.warehouse))
    monkeypatch.setenv("DBT_TARGET_PATH", str(home.root / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(home.root / "logs"))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet"]
    select = ["--select", "path:models/staging/stripe", "--vars", json.dumps(variables)]
    # Its own process: in-process dbt keeps the warehouse open.
    dbt = [sys.executable, "-m", "dbt.cli.main", "build", *places, *select]
    done = subprocess.run(dbt, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read(warehouse, model, columns):
    place = warehouse.execute(
        "select schema_name from duckdb_views() where view_name = ?", [f"stg_stripe__{model}"]
    ).fetchone()[0]
    return warehouse.execute(f"select {columns} from {place}.stg_stripe__{model}").fetchall()


def clipped(world, versions):
    """Versions as far as they lie inside their subscription's life, neighbours that agree merged."""
    lives = {s.id: (s.started_at, s.ended_at or FOREVER) for s in world.billing.subscriptions}
    found = []
    for subscription, item, price, quantity, since, until in sorted(versions, key=lambda v: (v[1], v[4])):
        start, end = lives[subscription]
        since, until = max(since, start), min(until or FOREVER, end)
        if since >= until:
            continue
        if found and found[-1][:4] == (subscription, item, price, quantity) and found[-1][5] == since:
            since = found.pop()[4]
        found.append((subscription, item, price, quantity, since, until))
    return found


def test_item_history_is_what_really_was_sold(staged, world):
    columns = "subscription_id, subscription_item_id, price_id, quantity::bigint, valid_from, valid_to"
    derived = clipped(world, read(staged, "subscription_items", columns))
    truth = clipped(
        world,
        [
            (s.id, i.item_id, i.price_id, i.quantity, i.valid_from, i.valid_to)
            for s in world.billing.subscriptions
            for i in s.items
        ],
    )
    assert derived == truth


def test_pauses_are_read_from_voided_renewals(staged, world):
    truth = {
        (s.id, pause.paused_at, pause.resumed_at) for s in world.billing.subscriptions for pause in s.pauses
    }
    assert truth
    assert set(read(staged, "subscription_pauses", "subscription_id, paused_at, resumed_at")) == truth


def test_money_is_in_major_units_to_the_cent(staged, world):
    invoices = {row[0]: row[1:] for row in read(staged, "invoices", "invoice_id, total, discount, currency")}
    assert invoices == {i.id: (i.total, i.discount, i.currency) for i in world.billing.invoices}
    assert {currency for _, _, currency in invoices.values()} > {"USD"}
    lines = read(staged, "invoice_lines", "invoice_line_id, amount, is_recurring")
    recurring = {price.id: price.interval is not None for price in world.billing.prices}
    assert set(lines) == {
        (line.id, line.amount, recurring[line.price_id]) for i in world.billing.invoices for line in i.lines
    }


def test_discounts_payments_and_customers_are_complete(staged, world):
    billing = world.billing
    discounts = read(staged, "discounts", "discount_id, percent_off, amount_off, starts_at, ends_at")
    assert set(discounts) == {
        (d.id, d.percent_off, d.amount_off, d.starts_at, d.ends_at) for d in billing.discounts
    }
    payments = read(staged, "payments", "payment_id, invoice_id, amount, status, attempt")
    assert set(payments) == {(p.id, p.invoice_id, p.amount, p.status, p.attempt) for p in billing.payments}
    customers = dict(read(staged, "customers", "customer_id, is_deleted"))
    invoiced = {invoice.customer_id for invoice in billing.invoices}
    expected = {c.id: c.deleted_at is not None for c in billing.customers}
    assert customers == {key: gone for key, gone in expected.items() if not gone or key in invoiced}
