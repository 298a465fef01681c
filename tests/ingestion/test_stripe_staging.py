"""dbt's Stripe staging over a warehouse the connector loaded, against what the sandbox company knows."""

from datetime import UTC, datetime
from functools import partial

import pytest
import stripe_world
from vendor_bench import build_staging, served, staging

from sandbox.simulation import simulate

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
WORLDS = {"hand-built": stripe_world.build, "simulated": partial(simulate, seed=11, months=14, size=40)}


@pytest.fixture(scope="module", params=WORLDS)
def world(request):
    return WORLDS[request.param]()


@pytest.fixture(scope="module")
def staged(world, tmp_path_factory):
    """Reads the staging models after a load and a dbt build, once per world."""
    with served("stripe", lambda: world, tmp_path_factory.mktemp("stripe")) as bench:
        bench.load()
    build_staging(bench.home, "stripe", "stripe", world.now)
    return staging(bench.home, "stripe")


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
    derived = clipped(world, staged("subscription_items", columns))
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
    assert set(staged("subscription_pauses", "subscription_id, paused_at, resumed_at")) == truth


def test_money_is_in_major_units_to_the_cent(staged, world):
    invoices = {row[0]: row[1:] for row in staged("invoices", "invoice_id, total, discount, currency")}
    assert invoices == {i.id: (i.total, i.discount, i.currency) for i in world.billing.invoices}
    assert {currency for _, _, currency in invoices.values()} > {"USD"}
    lines = staged("invoice_lines", "invoice_line_id, amount, is_recurring")
    recurring = {price.id: price.interval is not None for price in world.billing.prices}
    assert set(lines) == {
        (line.id, line.amount, recurring[line.price_id]) for i in world.billing.invoices for line in i.lines
    }


def test_discounts_payments_and_customers_are_complete(staged, world):
    billing = world.billing
    discounts = staged("discounts", "discount_id, percent_off, amount_off, starts_at, ends_at")
    assert set(discounts) == {
        (d.id, d.percent_off, d.amount_off, d.starts_at, d.ends_at) for d in billing.discounts
    }
    payments = staged("payments", "payment_id, invoice_id, amount, status, attempt")
    assert set(payments) == {(p.id, p.invoice_id, p.amount, p.status, p.attempt) for p in billing.payments}
    customers = dict(staged("customers", "customer_id, is_deleted"))
    invoiced = {invoice.customer_id for invoice in billing.invoices}
    expected = {c.id: c.deleted_at is not None for c in billing.customers}
    assert customers == {key: gone for key, gone in expected.items() if not gone or key in invoiced}
