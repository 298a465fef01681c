"""The Stripe source against the sandbox's Stripe API, over real HTTP, into a real warehouse."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import requests
import stripe_world

from ingestion import stripe, stripe_rows
from ingestion.core import load_source
from sandbox.simulation import simulate
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

AS_OF = stripe_world.NOW
OLD = "2020-08-27"
AUTH = {"Authorization": "Bearer sandbox-stripe-key"}
REAL = Path(os.environ.get("REVOPS_REAL_DATA", "../shared/data")) / "api_shapes" / "stripe"


@pytest.fixture
def world():
    return stripe_world.build()


@pytest.fixture
def server(sandbox_server, world):
    return sandbox_server(world)


@pytest.fixture
def config(server):
    return SourceConfig(name="stripe", silo="billing", type="stripe", base_url=f"{server}/stripe")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def first_warehouse(tmp_path_factory):
    return tmp_path_factory.mktemp("first") / "warehouse.duckdb"


@pytest.fixture
def after_first_load(config, home, first_warehouse):
    """A home whose first load is done. The warehouse is all the state a source has, so it is loaded once."""
    if not first_warehouse.exists():
        load(config, home)
        shutil.copy(home.warehouse, first_warehouse)
    else:
        home.warehouse.parent.mkdir(parents=True)
        shutil.copy(first_warehouse, home.warehouse)
    return home


def load(config, home, as_of=AS_OF):
    return load_source(config, as_of, home)


def loaded(report):
    return {name: table.loaded for name, table in report.tables.items() if table.loaded}


def rows(home, table, where="true"):
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        found = warehouse.execute(f"select * from raw_stripe.{table} where {where} order by all")
        names = [column[0] for column in found.description]
        kept = [name for name in names if not name.startswith("_")]
        return [{name: row[names.index(name)] for name in kept if name in names} for row in found.fetchall()]


def fault(server, path, kind, times, **more):
    body = {"path": path, "kind": kind, "times": times, **more}
    requests.post(f"{server}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def test_first_load_holds_everything_then_a_rerun_loads_nothing(config, home, world):
    report = load(config, home)
    billing = world.billing
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
    [acme] = rows(home, "customers", "id = 'cus_acme'")
    assert acme["tax_id"] == "DE123"
    assert acme["country"] == "DE"
    assert json.loads(acme["metadata"]) == {"hubspot_company_id": "1001"}
    [discount] = rows(home, "discounts", "id = 'di_acme'")  # ended: on its invoices only
    assert (discount["percent_off"], discount["end"]) == (Decimal(10), stripe_world.day(9))
    before = rows(home, "invoices")
    assert loaded(load(config, home)) == {}
    assert rows(home, "invoices") == before


def test_an_invoice_with_forty_lines_is_loaded_to_its_end(config, after_first_load):
    home = after_first_load
    [invoice] = rows(home, "invoices", "billing_reason = 'manual'")
    lines = rows(home, "invoice_lines", f"invoice_id = '{invoice['id']}'")
    assert len(lines) == 40
    assert sum(line["amount"] for line in lines) == invoice["subtotal"]
    assert invoice["total"] == invoice["subtotal"] + 700


def test_an_edit_loads_the_edited_customer_only(config, after_first_load, server):
    home = after_first_load
    edit = {"email": "new@acme.example", "metadata[hubspot_company_id]": "2002"}
    requests.post(
        f"{server}/stripe/v1/customers/cus_acme", data=edit, headers=AUTH, timeout=5
    ).raise_for_status()
    assert loaded(load(config, home)) == {"customers": 1}
    [acme] = rows(home, "customers", "id = 'cus_acme'")
    assert acme["email"] == "new@acme.example"
    assert json.loads(acme["metadata"]) == {"hubspot_company_id": "2002"}
    assert loaded(load(config, home)) == {}


def test_a_deleted_customer_keeps_its_row_marked_deleted(config, after_first_load, server):
    home = after_first_load
    requests.delete(f"{server}/stripe/v1/customers/cus_acme", headers=AUTH, timeout=5).raise_for_status()
    assert loaded(load(config, home)) == {"customers": 1}
    [acme] = rows(home, "customers", "id = 'cus_acme'")
    assert (acme["is_deleted"], acme["email"], acme["tax_id"]) == (True, "Billing@Acme.example", "DE123")
    assert loaded(load(config, home)) == {}


def test_old_invoices_that_change_are_fetched_again(config, after_first_load, world):
    home = after_first_load
    invoice = next(one for one in world.billing.invoices if one.status == "void")
    world.now += timedelta(days=2)
    invoice.status, invoice.voided_at, invoice.paid_at = "paid", None, AS_OF + timedelta(days=1)
    report = load(config, home, world.now)
    assert loaded(report) == {"invoices": 1}
    assert report.tables["invoices"].extracted < len(world.billing.invoices) / 2
    [row] = rows(home, "invoices", f"id = '{invoice.id}'")
    assert (row["status"], row["paid_at"]) == ("paid", AS_OF + timedelta(days=1))


def test_after_a_month_away_everything_is_listed_again(config, after_first_load, world):
    home = after_first_load
    customer = world.billing.customers[4]
    world.now += timedelta(days=60)
    customer.deleted_at = customer.updated_at = AS_OF + timedelta(days=10)  # its event is gone by now
    world.billing.subscriptions[0].current_period_end += timedelta(days=31)
    report = load(config, home, world.now)
    assert loaded(report) == {"customers": 1, "subscriptions": 1}
    assert report.tables["invoices"].extracted == len(world.billing.invoices)
    [row] = rows(home, "customers", f"id = '{customer.id}'")
    assert row["is_deleted"]


def test_a_month_of_changes_ends_where_a_fresh_load_ends(sandbox_server, home, tmp_path):
    world = simulate(seed=9, months=8, size=40)
    base_url = f"{sandbox_server(world)}/stripe"
    config = SourceConfig(name="stripe", silo="billing", type="stripe", base_url=base_url)
    load(config, home, world.now)
    later = simulate(seed=9, months=8, size=40, now=world.now + timedelta(days=30))
    # The event of a discount that ends names its coupon only by id.
    assert [d for d in later.billing.discounts if d.ends_at and world.now <= d.ends_at < later.now]
    vars(world).update(vars(later))  # the server goes on serving the same object
    report = load(config, home, world.now)
    assert 0 < report.tables["invoices"].extracted < report.tables["invoices"].total / 2
    fresh = Home(tmp_path / "fresh")
    load(config, fresh, world.now)
    for table in stripe.TABLES:
        assert rows(home, table, "not is_deleted") == rows(fresh, table), table
    assert loaded(load(config, home, world.now)) == {}


def test_both_api_versions_give_the_same_rows(config, after_first_load, tmp_path, monkeypatch):
    home = after_first_load
    old_home = Home(tmp_path / "old")
    current = stripe.source
    monkeypatch.setattr(stripe, "source", lambda config, as_of: current(config, as_of, OLD))
    load(config, old_home)
    for table in stripe.TABLES:
        assert rows(home, table) == rows(old_home, table), table
        assert rows(home, table), table


def test_the_two_versions_really_differ(server):
    def first(path, version):
        headers = AUTH | {"Stripe-Version": version}
        return requests.get(f"{server}/stripe/v1/{path}", headers=headers, timeout=5).json()["data"][0]

    for path, only_old in [("invoices", "subscription"), ("subscriptions", "current_period_end")]:
        assert only_old in first(path, OLD)
        assert only_old not in first(path, stripe.API_VERSION)
    assert "invoice" in first("charges", OLD)
    assert "invoice" not in first("charges", stripe.API_VERSION)


def test_pages_and_filters_as_documented(server):
    def get(query):
        return requests.get(f"{server}/stripe/v1/charges?{query}", headers=AUTH, timeout=5)

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


def test_passing_faults_are_retried(config, home, server):
    fault(server, "/stripe/v1/customers", "500", 1)
    fault(server, "/stripe/v1/invoices", "429", 1)
    assert load(config, home).tables["invoices"].total > 0


@pytest.mark.parametrize(
    ("kind", "words"), [("401", "SOURCES__STRIPE__API_KEY"), ("broken_json", "not valid JSON")]
)
def test_lasting_faults_are_one_message_and_load_nothing(config, after_first_load, server, kind, words):
    home = after_first_load
    before = rows(home, "customers")
    fault(server, "/stripe/v1/events", kind, 1)
    with pytest.raises(UserError, match=words) as raised:
        load(config, home)
    assert "sandbox-stripe-key" not in str(raised.value)
    assert rows(home, "customers") == before
    assert loaded(load(config, home)) == {}


def test_a_field_nobody_documented_is_kept_beside_the_row(config, home, server, caplog):
    fault(server, "/stripe/v1/customers", "new_field", 99, field="loyalty")
    load(config, home)
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        [(extra,)] = warehouse.execute("select distinct _extra from raw_stripe.customers").fetchall()
    assert json.loads(extra).keys() == {"loyalty"}
    assert "loyalty" in caplog.text


def test_a_flipped_type_names_the_column_and_loads_nothing(config, after_first_load, server):
    home = after_first_load
    before = rows(home, "charges")
    fault(server, "/stripe/v1/charges", "flip_type", 99, field="amount")
    with pytest.raises(UserError, match="amount"):
        load(config, home)
    assert rows(home, "charges") == before


def test_check_tells_a_refused_key(config, server, monkeypatch):
    stripe.check(config)
    monkeypatch.setenv("SOURCES__STRIPE__API_KEY", "wrong")
    with pytest.raises(UserError, match="401"):
        stripe.check(config)


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
