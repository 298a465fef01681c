"""The Stripe source against the sandbox's Stripe API, over real HTTP, into a real warehouse."""

import json
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import stripe_world
from vendor_bench import served, written

from ingestion import stripe, stripe_rows
from settings.errors import UserError
from settings.paths import Home

AS_OF = stripe_world.NOW
OLD = "2020-08-27"
REAL = Path(os.environ.get("REVOPS_REAL_DATA", "../shared/data")) / "api_shapes" / "stripe"


@pytest.fixture
def bench(tmp_path):
    with served("stripe", stripe_world.build, tmp_path / "home") as bench:
        yield bench


def test_first_load_holds_everything_then_a_rerun_loads_nothing(bench):
    report = bench.load()
    billing = bench.world.billing
    counted = {name: table.total for name, table in report.tables.items()}
    assert counted == {
        "customers": 4,  # the deleted one is listed no more
        "products": len(billing.products),
        "prices": len(billing.prices),
        "subscriptions": len(billing.subscriptions),
        "invoices": len(billing.invoices),
        "invoice_lines": sum(len(invoice.lines) for invoice in billing.invoices),
        "invoice_payments": len({payment.invoice_id for payment in billing.payments}),
        "discounts": 2,
        "charges": len(billing.payments),
        "refunds": 1,
        "credit_notes": 1,
    }
    [acme] = bench.records("customers", "id = 'cus_acme'")
    assert acme["tax_id"] == "DE123"
    assert acme["country"] == "DE"
    assert json.loads(acme["metadata"]) == {"hubspot_company_id": "1001"}
    [discount] = bench.records("discounts", "id = 'di_acme'")  # ended: on its invoices only
    assert (discount["percent_off"], discount["end"]) == (Decimal(10), stripe_world.day(9))
    before = bench.records("invoices")
    assert bench.loaded() == {}
    assert bench.records("invoices") == before


def test_an_invoice_with_forty_lines_is_loaded_to_its_end(bench):
    bench.begin()
    [invoice] = bench.records("invoices", "billing_reason = 'manual'")
    lines = bench.records("invoice_lines", f"invoice_id = '{invoice['id']}'")
    assert len(lines) == 40
    assert sum(line["amount"] for line in lines) == invoice["subtotal"]
    assert invoice["total"] == invoice["subtotal"] + 700


def test_a_deleted_customer_keeps_its_row_marked_deleted(bench):
    bench.begin()
    bench.send("DELETE", "customers/cus_acme")
    assert bench.loaded() == {"customers": 1}
    [acme] = bench.records("customers", "id = 'cus_acme'")
    assert (acme["is_deleted"], acme["email"], acme["tax_id"]) == (True, "Billing@Acme.example", "DE123")
    assert bench.loaded() == {}


def test_old_invoices_that_change_are_fetched_again(bench):
    bench.begin()
    invoice = next(one for one in bench.world.billing.invoices if one.status == "void")
    bench.world.now += timedelta(days=2)
    invoice.status, invoice.voided_at, invoice.paid_at = "paid", None, AS_OF + timedelta(days=1)
    report = bench.load()
    assert written(report) == {"invoices": 1}
    assert report.tables["invoices"].extracted < len(bench.world.billing.invoices) / 2
    [row] = bench.records("invoices", f"id = '{invoice.id}'")
    assert (row["status"], row["paid_at"]) == ("paid", AS_OF + timedelta(days=1))


def test_after_a_month_away_everything_is_listed_again(bench):
    bench.begin()
    customer = bench.world.billing.customers[4]
    bench.world.now += timedelta(days=60)
    customer.deleted_at = customer.updated_at = AS_OF + timedelta(days=10)  # its event is gone by now
    bench.world.billing.subscriptions[0].current_period_end += timedelta(days=31)
    report = bench.load()
    assert written(report) == {"customers": 1, "subscriptions": 1}
    assert report.tables["invoices"].extracted == len(bench.world.billing.invoices)
    [row] = bench.records("customers", f"id = '{customer.id}'")
    assert row["is_deleted"]


def test_both_api_versions_give_the_same_rows(bench, tmp_path, monkeypatch):
    bench.begin()
    old_home = Home(tmp_path / "old")
    current = stripe.source
    monkeypatch.setattr(stripe, "source", lambda config, as_of: current(config, as_of, OLD))
    bench.load(home=old_home)
    for table in stripe.TABLES:
        assert bench.records(table) == bench.records(table, home=old_home), table
        assert bench.records(table), table


def test_the_two_versions_really_differ(bench):
    def first(path, version):
        return bench.request("GET", path, headers={"Stripe-Version": version}).json()["data"][0]

    for path, only_old in [("invoices", "subscription"), ("subscriptions", "current_period_end")]:
        assert only_old in first(path, OLD)
        assert only_old not in first(path, stripe.API_VERSION)
    assert "invoice" in first("charges", OLD)
    assert "invoice" not in first("charges", stripe.API_VERSION)


def test_pages_and_filters_as_documented(bench):
    def get(query):
        return bench.get(f"charges?{query}")

    assert get("limit=101").status_code == 400
    assert get("starting_after=ch_none").json()["error"]["code"] == "resource_missing"
    first = get("limit=2").json()
    assert first["has_more"]
    last = first["data"][-1]
    second = get(f"limit=100&starting_after={last['id']}").json()["data"]
    assert second[0]["created"] <= last["created"]
    assert last["id"] not in {charge["id"] for charge in second}
    since = get(f"limit=100&created[gte]={last['created']}").json()["data"]
    assert since
    assert min(charge["created"] for charge in since) == last["created"]


def test_check_tells_a_refused_key(bench, monkeypatch):
    stripe.check(bench.config)
    monkeypatch.setenv("SOURCES__STRIPE__API_KEY", "wrong")
    with pytest.raises(UserError, match="401"):
        stripe.check(bench.config)


# ---------------------------------------------------------------- Stripe's own fixtures


@pytest.fixture(scope="module")
def official():
    if not REAL.exists():
        pytest.skip(f"official Stripe fixtures are not at {REAL} (set REVOPS_REAL_DATA)")
    return json.loads((REAL / "fixtures3.json").read_text())["resources"]


def webhook(name):
    return json.loads((REAL / "webhook_fixtures" / f"{name}.json").read_text())["data"]["object"]


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def test_official_subscription_in_both_shapes(official):
    current, old = official["subscription"], webhook("customer.subscription.created")
    row = stripe_rows.subscription(current, current["items"]["data"])
    assert row["current_period_end"] == moment(976287773)
    assert row["items"][0]["unit_amount"] == "2000"
    assert row["pause_behavior"] == "mark_uncollectible"
    older = stripe_rows.subscription(old, old["items"]["data"])
    assert older["current_period_end"] == moment(1650998510)
    assert row.keys() == older.keys()


def test_official_invoice_in_both_shapes(official):
    current, old = official["invoice"], webhook("invoice.paid")
    row, older = stripe_rows.invoice(current), stripe_rows.invoice(old)
    assert row["subscription_id"] == "subscription"
    assert older["paid_at"] == moment(1648320013)
    assert row.keys() == older.keys()
    line = stripe_rows.invoice_line(current["lines"]["data"][0], row["id"], row["subscription_id"])
    older_line = stripe_rows.invoice_line(old["lines"]["data"][0], older["id"], older["subscription_id"])
    assert line["is_proration"]
    assert older_line["price_id"] == "price_000000000000000000000000"
    assert line.keys() == older_line.keys()
    assert stripe_rows.invoice_payments(old)[0]["payment_id"] == "pi_000000000000000000000000"


def test_every_official_object_fits_its_table(official):
    single = {
        "customer": stripe_rows.customer,
        "product": stripe_rows.product,
        "price": stripe_rows.price,
        "discount": stripe_rows.discount,
        "charge": stripe_rows.charge,
        "refund": stripe_rows.refund,
        "credit_note": stripe_rows.credit_note,
    }
    for name, normalise in single.items():
        row = normalise(official[name])
        assert row["id"] == official[name]["id"]
        assert row.keys() | {"is_deleted"} == stripe.TABLES[f"{name}s"].columns.keys()
