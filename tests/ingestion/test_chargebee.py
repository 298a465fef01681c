"""The Chargebee source against the sandbox's Chargebee API, over real HTTP, into a real warehouse."""

import dataclasses
import json
from datetime import timedelta

import pytest
import stripe_world
from vendor_bench import served, written
from vendor_state import assert_same

from ingestion import chargebee
from sandbox.api import chargebee as site
from sandbox.api import chargebee_documents
from settings.errors import UserError

AS_OF = stripe_world.NOW


@pytest.fixture
def bench(tmp_path):
    with served("chargebee", stripe_world.build, tmp_path / "home") as bench:
        yield bench


def test_first_load_holds_everything_then_a_rerun_loads_nothing(bench):
    report = bench.load()
    billing = bench.world.billing
    told = {name: table.total for name, table in report.tables.items()}
    assert told == {
        "transactions": len(billing.payments) + 1,
        "credit_notes": 4,  # one given, three for changes
        "credit_note_lines": 4,
        "invoices": len(billing.invoices) - 5,  # a trial's, three of pauses, one with nothing but a credit
        "invoice_lines": sum(len(invoice.lines) for invoice in billing.invoices) - 3 - 4,
        "subscriptions": len(billing.subscriptions),
        "subscription_coupons": 1,  # the other has run out
        "subscription_discounts": 0,
        "customers": len(billing.customers),
        "coupons": 2,
        "item_prices": len(billing.prices),
        "items": len(billing.products),
    }
    assert_same(bench)
    assert bench.loaded() == {}
    assert_same(bench)


def test_what_a_customer_was_sold_is_told_by_charges_and_credits(bench):
    bench.begin()
    [change] = bench.records(
        "credit_notes", "subscription_id = 'sub_acme' and reason_code = 'subscription_change'"
    )
    [credit] = bench.records("credit_note_lines", f"credit_note_id = '{change['id']}'")
    assert (credit["quantity"], credit["amount"]) == (5, 13000)
    [acme] = bench.records("customers", "id = 'cus_acme'")
    assert json.loads(acme["custom_fields"]) == {"cf_crm_account_id": "1001"}
    [yen] = bench.records("item_prices", "id = 'price_yen'")
    assert yen["price"] == 5000
    [paused] = bench.records("subscriptions", "status = 'paused'")
    assert paused["pause_date"] == paused["current_term_end"] == stripe_world.day(10)


def test_old_records_that_change_are_seen(bench):
    bench.begin()
    bench.world.now += timedelta(days=2)
    later = AS_OF + timedelta(days=1)
    invoice = next(one for one in bench.world.billing.invoices if one.id == "in_1")
    invoice.due_at, invoice.updated_at = later, later
    subscription = bench.world.billing.subscriptions[0]
    subscription.cancel_at_period_end, subscription.canceled_at = True, later
    subscription.cancellation_reason, subscription.updated_at = "cancellation_requested", later
    report = bench.load()
    assert written(report) == {"invoices": 1, "subscriptions": 1}
    assert report.tables["invoices"].extracted < len(bench.world.billing.invoices) / 2
    assert_same(bench)


def test_what_is_deleted_keeps_its_row_marked_deleted(bench):
    bench.begin()
    bench.send("POST", "customers/cus_kyoto/delete")
    bench.send("POST", "subscriptions/sub_kyoto/delete")
    [mine] = [row["id"] for row in bench.records("invoices", "total = 9500")][:1]
    bench.send("POST", f"invoices/{mine}/delete")
    assert bench.loaded() == {
        "customers": 1,
        "subscriptions": 1,
        "subscription_coupons": 1,
        "invoices": 1,
        "invoice_lines": 1,
    }
    for table, key in (("customers", "cus_kyoto"), ("subscriptions", "sub_kyoto"), ("invoices", mine)):
        assert [row["id"] for row in bench.records(table, f"is_deleted and id = '{key}'")] == [key]
    assert_same(bench)
    assert bench.loaded() == {}


def test_a_price_that_is_listed_no_more_counts_as_deleted(bench):
    prices = bench.world.billing.prices
    prices.append(dataclasses.replace(prices[0], id="price_old"))
    bench.load()
    del prices[-1]
    assert bench.loaded() == {"item_prices": 1}
    assert [row["id"] for row in bench.records("item_prices", "is_deleted")] == ["price_old"]


def test_an_invoice_that_changes_while_paging_keeps_its_last_lines(bench, monkeypatch):
    monkeypatch.setattr(chargebee, "PAGE", 5)
    invoice = bench.world.billing.invoices[0]

    def change():
        invoice.lines[0].description, invoice.updated_at = "Changed", AS_OF - timedelta(minutes=2)

    bench.served.after(r"v2/invoices\?", change)
    bench.load()
    [line] = bench.records("invoice_lines", f"invoice_id = '{invoice.id}'")
    assert line["description"] == "Changed"
    assert_same(bench)


def test_lines_beyond_the_embedded_ones_are_followed_to_the_end(bench, monkeypatch):
    monkeypatch.setattr(chargebee_documents, "EMBEDDED_LINES", 7)
    monkeypatch.setattr(chargebee, "LINES_PAGE", 10)
    bench.load()
    [invoice] = bench.records("invoices", "subscription_id is null")
    lines = bench.records("invoice_lines", f"invoice_id = '{invoice['id']}'")
    assert len(lines) == 40
    assert sum(line["amount"] for line in lines) == invoice["sub_total"]
    assert_same(bench)


@pytest.mark.parametrize(
    ("path", "field", "words"),
    [
        ("transactions", "amount", "column 'amount': the type changed from bigint to list"),
        ("subscriptions", "status", "column 'status': the type changed from text to list"),
        ("invoices", "date_from", "column 'date_from': the type changed from timestamp to list"),
        ("invoices", "line_items", "column 'line_items': the type changed from list of objects to list of"),
    ],
)
def test_a_flipped_type_names_the_column_and_freezes_the_table(bench, path, field, words):
    bench.begin()
    before = bench.records(path)
    bench.world.billing.invoices[0].updated_at = AS_OF - timedelta(seconds=1)
    bench.world.billing.subscriptions[0].updated_at = AS_OF - timedelta(seconds=1)
    bench.fault(f"/api/v2/{path}", "flip_type", 99, field=field)
    with pytest.raises(UserError, match=words):
        bench.load()
    assert bench.records(path) == before


def test_check_tells_what_is_wrong(bench, monkeypatch):
    chargebee.check(bench.config)
    with pytest.raises(UserError, match=r"https://acme\.chargebee\.com"):
        chargebee.check(bench.config.model_copy(update={"base_url": None}))
    old = site.error(400, "configuration_incompatible", "Items are not enabled", "invalid_request")
    with monkeypatch.context() as patch:
        patch.setattr(site, "unauthorised", lambda: old)
        bench.fault("/api/v2/items", "401")
        with pytest.raises(UserError, match=r"no Product Catalog 2\.0 \(Items are not enabled\)"):
            chargebee.check(bench.config)
    monkeypatch.setenv("SOURCES__CHARGEBEE__API_KEY", "wrong")
    with pytest.raises(UserError, match="401"):
        chargebee.check(bench.config)
