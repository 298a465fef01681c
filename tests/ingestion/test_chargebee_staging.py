"""dbt's Chargebee staging over a warehouse the connector loaded, against what the sandbox company knows."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import duckdb
import pytest
import stripe_world
from stripe_world import day
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
    with served("chargebee", lambda: world, tmp_path_factory.mktemp("chargebee")) as bench:
        bench.load()
    if world.now == stripe_world.NOW:
        with duckdb.connect(str(bench.home.warehouse)) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            add_what_the_sandbox_never_does(warehouse)
    build_staging(bench.home, "chargebee", "chargebee", world.now)
    return staging(bench.home, "chargebee")


def insert(warehouse, table, **values):
    """A raw row; what is not given is NULL."""
    row = {"id": "x", "is_deleted": False, "_loaded_at": day(10), "_dlt_load_id": "1", "_dlt_id": "1"}
    row |= {k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in values.items()}
    present = {
        name
        for (name,) in warehouse.execute(
            "select column_name from duckdb_columns() where schema_name = 'raw_chargebee' and table_name = ?",
            [table],
        ).fetchall()
    }
    row = {name: value for name, value in row.items() if name in present}
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    warehouse.execute(f"insert into raw_chargebee.{table} ({names}) values ({marks})", list(row.values()))


def add_what_the_sandbox_never_does(warehouse):
    """A subscription changed by differences, at a price of its own, with every kind of discount."""
    warehouse.execute("delete from raw_chargebee.subscription_discounts")
    dollars = {"currency_code": "USD"}
    insert(
        warehouse,
        "subscriptions",
        id="sub_delta",
        customer_id="cus_acme",
        status="active",
        subscription_items=[
            {"item_price_id": "price_growth", "item_type": "plan", "quantity": 6, "unit_price": 4200},
            {"item_price_id": "price_scale", "item_type": "addon", "quantity": 1, "unit_price": 108000},
            {"item_price_id": "price_seats", "item_type": "addon", "quantity": 2, "unit_price": 1000},
        ],
        coupons=[{"coupon_id": "SINGLE"}],
        discounts=[{"id": "dis_1"}],
        created_at=day(6),
        started_at=day(6),
        **dollars,
    )
    sold = [
        ("delta_1", "price_growth", day(6), day(7), 5, 4000),
        ("delta_2", "price_growth", day(6, 10), day(7), 3, 2800),
        ("delta_3", "price_growth", day(7), day(8), 8, 4000),
        ("delta_4", "price_growth", day(8), day(9), 6, 4200),
        ("delta_5", "price_scale", day(6), day(6).replace(year=2027), 1, 108000),
    ]
    for key, price, since, until, quantity, unit in sold:
        insert(
            warehouse,
            "invoices",
            id=key,
            customer_id="cus_acme",
            subscription_id="sub_delta",
            status="paid",
            write_off_amount=100 if key == "delta_4" else 0,
            paid_at=until,
            date=since,
            **dollars,
        )
        off = [("SINGLE", "item_level_coupon", 500), ("dis_1", "document_level_discount", 100)]
        discounts = [
            {"discount_type": kind, "entity_id": name, "discount_amount": amount}
            for name, kind, amount in off
        ]
        insert(
            warehouse,
            "invoice_lines",
            id=f"li_{key}",
            invoice_id=key,
            subscription_id="sub_delta",
            entity_type="plan_item_price",
            entity_id=price,
            pricing_model="per_unit",
            quantity=quantity,
            unit_amount=unit,
            line_item_discounts=discounts,
            date_from=since,
            date_to=until,
        )
    insert(
        warehouse,
        "credit_notes",
        id="cn_delta",
        customer_id="cus_acme",
        subscription_id="sub_delta",
        reason_code="subscription_change",
        status="refunded",
        total=5600,
        date=day(7, 20),
        **dollars,
    )
    insert(
        warehouse,
        "credit_note_lines",
        id="li_cn_delta",
        credit_note_id="cn_delta",
        subscription_id="sub_delta",
        entity_id="price_growth",
        quantity=2,
        date_from=day(7, 20),
        date_to=day(8),
    )
    coupon = {"apply_on": "each_specified_item", "discount_type": "percentage", "duration_type": "forever"}
    insert(warehouse, "coupons", id="SINGLE", discount_percentage=Decimal(50), **coupon)
    manual = {"type": "percentage", "percentage": Decimal(5), "apply_on": "invoice_amount"}
    insert(
        warehouse,
        "subscription_discounts",
        id="dis_1",
        subscription_id="sub_delta",
        duration_type="limited_period",
        apply_till=day(12),
        **manual,
    )
    refund = {"customer_id": "cus_acme", "amount": 500, "status": "success", "date": day(9), **dollars}
    insert(warehouse, "transactions", id="txn_back", type="payment_reversal", **refund)
    insert(warehouse, "transactions", id="txn_hold", type="authorization", **refund)
    paid = {"type": "payment", "linked_invoices": [{"invoice_id": "delta_1"}]}
    insert(warehouse, "transactions", id="txn_paid", reversal_transaction_id="txn_back", **refund | paid)


def read(warehouse, model, columns, where="true"):
    place = warehouse.execute(
        "select schema_name from duckdb_views() where view_name = ?", [f"stg_chargebee__{model}"]
    ).fetchone()[0]
    return warehouse.execute(f"select {columns} from {place}.stg_chargebee__{model} where {where}").fetchall()


def billed(world, versions):
    """Versions as far as they were billed: in their subscription's paid life, pauses cut out."""
    pieces = []
    for subscription in world.billing.subscriptions:
        start = subscription.trial_end or subscription.started_at
        pauses = sorted((pause.paused_at, pause.resumed_at or FOREVER) for pause in subscription.pauses)
        bounds = [start, *[at for pause in pauses for at in pause], subscription.ended_at or FOREVER]
        open_stretches = list(zip(bounds[::2], bounds[1::2], strict=True))
        pieces += [
            (key, price, quantity, max(since, opened), min(until or FOREVER, closed))
            for key, price, quantity, since, until in versions
            if key == subscription.id
            for opened, closed in open_stretches
        ]
    found = []
    for key, price, quantity, since, until in sorted(piece for piece in pieces if piece[3] < piece[4]):
        if found and found[-1][:3] == (key, price, quantity) and found[-1][4] == since:
            since = found.pop()[3]
        found.append((key, price, quantity, since, until))
    return sorted(found)


def test_item_history_is_what_really_was_sold(staged, world):
    columns = "subscription_id, price_id, quantity::bigint, valid_from, valid_to"
    derived = staged("subscription_items", columns)
    truth = [
        (s.id, i.price_id, i.quantity, i.valid_from, i.valid_to)
        for s in world.billing.subscriptions
        for i in s.items
    ]
    assert billed(world, derived) == billed(world, truth)
    assert len(billed(world, truth)) > len(world.billing.subscriptions) / 2


def test_pauses_are_the_one_that_is_on_and_gaps_between_bills(staged, world):
    told = set(staged("subscription_pauses", "subscription_id, paused_at, resumed_at"))
    ended = {s.id: s.ended_at for s in world.billing.subscriptions}
    truth = {
        (s.id, pause.paused_at, pause.resumed_at or ended[s.id])
        for s in world.billing.subscriptions
        for pause in s.pauses
    }
    assert truth
    assert told == truth


def test_money_is_in_major_units_to_the_cent(staged, world):
    columns = (
        "invoice_id, amount_due, amount_paid, discount, currency, paid_at, "
        "status in ('open', 'uncollectible')"
    )
    told = {row[0]: row[1:] for row in staged("invoices", columns, "invoice_id not like 'delta%'")}
    for invoice in world.billing.invoices:
        if invoice.id in told:
            unpaid = invoice.status in ("open", "uncollectible")
            expected = (max(invoice.total, 0), invoice.amount_paid, invoice.discount, invoice.currency)
            assert told[invoice.id] == (*expected, invoice.paid_at, unpaid), invoice.id
    missing = [invoice for invoice in world.billing.invoices if invoice.id not in told]
    assert missing
    assert all(invoice.amount_paid <= 0 for invoice in missing)
    assert {row[3] for row in told.values()} > {"USD"}


def test_discounts_payments_and_customers_are_complete(staged, world):
    billing = world.billing
    own = "subscription_id <> 'sub_delta'"
    columns = "subscription_id, coupon_id, percent_off, amount_off, starts_at, ends_at"
    assert set(staged("discounts", columns, own)) == {
        (d.subscription_id, d.coupon_id, d.percent_off, d.amount_off, d.starts_at, d.ends_at)
        for d in billing.discounts
    }
    columns = "payment_id, invoice_id, amount, status, attempt, failure_code"
    assert set(staged("payments", columns, "payment_id not like 'txn%'")) == {
        (p.id, p.invoice_id, p.amount, p.status, p.attempt, p.failure_code) for p in billing.payments
    }
    refunds = staged("refunds", "refund_id, payment_id, invoice_id, amount", "refund_id not like 'txn%'")
    assert set(refunds) == {(r.id, r.payment_id, r.invoice_id, r.amount) for r in billing.refunds}
    customers = staged("customers", "customer_id, name, crm_account_id, tax_id, currency, is_deleted")
    assert set(customers) == {
        (c.id, c.name, c.crm_account_id, c.tax_id, c.currency, c.deleted_at is not None)
        for c in billing.customers
    }
    notes = dict(staged("credit_notes", "credit_note_id, amount", "reason_code = 'waiver'"))
    assert notes == {note.id: note.amount for note in billing.credit_notes}


def test_subscriptions_end_when_and_as_they_did(staged, world):
    columns = (
        "subscription_id, trial_end, cancel_at, canceled_at, ended_at, cancellation_reason, auto_renew, "
        "status = 'past_due'"
    )
    told = set(staged("subscriptions", columns, "subscription_id <> 'sub_delta'"))
    assert told == {
        (
            s.id,
            s.trial_end,
            None if s.ended_at else s.cancel_at,
            # Chargebee dates notice only where the end was set for later.
            s.canceled_at if s.cancel_at or not s.ended_at else s.ended_at,
            s.ended_at,
            s.cancellation_reason,
            s.ended_at is None and s.cancel_at is None,
            s.status == "past_due",
        )
        for s in world.billing.subscriptions
    }


@pytest.mark.parametrize("world", ["hand-built"], indirect=True)
def test_changes_by_difference_and_prices_of_its_own(staged, world):
    columns = "price_id, quantity::bigint, unit_amount, valid_from, valid_to, history_method"
    found = sorted(staged("subscription_items", columns, "subscription_id = 'sub_delta'"), key=str)
    assert found == [
        ("price_growth", 5, 40, day(6), day(6, 10), "invoice_lines"),
        ("price_growth", 6, 42, day(7, 20), None, "invoice_lines"),
        ("price_growth", 8, 40, day(6, 10), day(7, 20), "invoice_lines"),
        ("price_scale", 1, 90, day(6), None, "invoice_lines"),
        ("price_seats", 2, 10, day(8), None, "current_state"),
    ]
    discounts = staged(
        "discounts",
        "coupon_id, percent_off, amount_off, starts_at, ends_at",
        "subscription_id = 'sub_delta'",
    )
    assert set(discounts) == {
        ("SINGLE", None, 5, day(6), None),
        ("dis_1", 5, None, day(6), day(12)),
    }
    given_up = staged("invoices", "status, paid_at, voided_at", "invoice_id = 'delta_4'")
    assert given_up == [("void", None, day(9))]
    assert staged("refunds", "payment_id, invoice_id", "refund_id = 'txn_back'") == [("txn_paid", "delta_1")]
    assert staged("payments", "payment_id", "payment_id like 'txn%'") == [("txn_paid",)]
