"""The Chargebee source against the sandbox's Chargebee API, over real HTTP, into a real warehouse."""

import dataclasses
import json
import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
import requests
import stripe_world

from ingestion import chargebee
from ingestion.chargebee_tables import TABLES
from ingestion.core import load_source
from sandbox.api import chargebee as site
from sandbox.api import chargebee_documents
from sandbox.simulation import simulate
from sandbox.world import Customer
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

AS_OF = stripe_world.NOW
AUTH = ("sandbox-chargebee-key", "")
#: Tables whose records have a list of their own -> what a record is called there.
LISTED = {name: name.removesuffix("s") for name in TABLES if "_lines" not in name and name != "items"}
LISTED = {name: one for name, one in LISTED.items() if not name.startswith("subscription_")} | {
    "items": "item"
}


@pytest.fixture
def world():
    return stripe_world.build()


@pytest.fixture
def server(sandbox_server, world):
    return sandbox_server(world)


@pytest.fixture
def config(server):
    return SourceConfig(name="chargebee", silo="billing", type="chargebee", base_url=f"{server}/chargebee")


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
        found = warehouse.execute(f"select * from raw_chargebee.{table} where {where} order by all")
        names = [column[0] for column in found.description]
        kept = [name for name in names if not name.startswith("_")]
        return [{name: row[names.index(name)] for name in kept} for row in found.fetchall()]


def get(server, path, **params):
    return requests.get(f"{server}/chargebee/api/v2/{path}", params=params, auth=AUTH, timeout=5)


def post(server, path, **form):
    answer = requests.post(f"{server}/chargebee/api/v2/{path}", data=form, auth=AUTH, timeout=5)
    answer.raise_for_status()
    return answer.json()


def fault(server, path, kind, times, **more):
    body = {"path": path, "kind": kind, "times": times, **more}
    requests.post(f"{server}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def listed(server, kind):
    """Every record of a kind as the site tells it, read page by page."""
    found, params = [], {"limit": 100, "include_deleted": "true"}
    while True:
        answer = get(server, f"{kind}s", **params).json()
        found += [entry[kind] for entry in answer["list"]]
        if "next_offset" not in answer:
            return found
        params["offset"] = answer["next_offset"]


def held_as_told(home, server):
    """Whether every raw row is what the site tells now, field by field, and nothing else is held."""
    invoices = []
    for table, kind in LISTED.items():
        told = listed(server, kind)
        invoices += [(kind, body) for body in told if kind in ("invoice", "credit_note")]
        compare(home, table, told)
    for kind, table in (("invoice", "invoice_lines"), ("credit_note", "credit_note_lines")):
        lines = [
            line | {f"{kind}_id": body["id"], "deleted": body["deleted"]}
            for its_kind, body in invoices
            if its_kind == kind
            for line in whole(server, kind, body)
        ]
        compare(home, table, lines)
    coupons = [
        coupon | {"subscription_id": body["id"], "deleted": body["deleted"]}
        for body in listed(server, "subscription")
        for coupon in body.get("coupons", [])
    ]
    compare(home, "subscription_coupons", coupons)


def whole(server, kind, body):
    """A document's lines to their end, each with its discounts."""
    subscription = {"subscription_id": body.get("subscription_id")}
    lines, discounts = body["line_items"], body.get("line_item_discounts", [])
    while offset := body.get("line_items_next_offset"):
        body = get(server, f"{kind}s/{body['id']}", line_items_offset=offset).json()[kind]
        lines, discounts = lines + body["line_items"], discounts + body.get("line_item_discounts", [])
    return [
        subscription
        | line
        | {"line_item_discounts": [one for one in discounts if one["line_item_id"] == line["id"]]}
        for line in lines
    ]


def compare(home, table, told):
    columns = TABLES[table].columns
    key = TABLES[table].primary_key
    expected = {tuple(body[name] for name in key): expected_row(body, columns) for body in told}
    found = {
        tuple(row[name] for name in key): {
            name: json.loads(value) if columns[name] == "json" and value is not None else value
            for name, value in row.items()
        }
        for row in rows(home, table)
    }
    assert found == expected, table


def expected_row(body, columns):
    row = {}
    for name, kind in columns.items():
        value = body.get(name)
        if name == "is_deleted":
            value = body.get("deleted", False)
        elif name == "custom_fields":
            value = {field: value for field, value in body.items() if field.startswith("cf_")}
        elif name == "billing_country":
            value = body.get("billing_address", {}).get("country")
        elif name == "coupons":
            value = value or []
        elif kind == "timestamp" and value is not None:
            value = datetime.fromtimestamp(value, UTC)
        elif kind == "decimal" and value is not None:
            value = Decimal(str(value))
        row[name] = value
    return row


def test_first_load_holds_everything_then_a_rerun_loads_nothing(config, home, world, server):
    report = load(config, home)
    billing = world.billing
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
    held_as_told(home, server)
    assert loaded(load(config, home)) == {}
    held_as_told(home, server)


def test_what_a_customer_was_sold_is_told_by_charges_and_credits(after_first_load):
    home = after_first_load
    [change] = rows(
        home, "credit_notes", "subscription_id = 'sub_acme' and reason_code = 'subscription_change'"
    )
    [credit] = rows(home, "credit_note_lines", f"credit_note_id = '{change['id']}'")
    assert (credit["quantity"], credit["amount"]) == (5, 13000)
    [acme] = rows(home, "customers", "id = 'cus_acme'")
    assert json.loads(acme["custom_fields"]) == {"cf_crm_account_id": "1001"}
    [yen] = rows(home, "item_prices", "id = 'price_yen'")
    assert yen["price"] == 5000
    [paused] = rows(home, "subscriptions", "status = 'paused'")
    assert paused["pause_date"] == paused["current_term_end"] == stripe_world.day(10)


def test_an_edit_loads_the_edited_customer_only(config, after_first_load, server):
    home = after_first_load
    post(server, "customers/cus_acme", email="new@acme.example", cf_crm_account_id="2002")
    assert loaded(load(config, home)) == {"customers": 1}
    [acme] = rows(home, "customers", "id = 'cus_acme'")
    assert acme["email"] == "new@acme.example"
    held_as_told(home, server)
    assert loaded(load(config, home)) == {}


def test_old_records_that_change_are_seen(config, after_first_load, world, server):
    home = after_first_load
    world.now += timedelta(days=2)
    later = AS_OF + timedelta(days=1)
    invoice = next(one for one in world.billing.invoices if one.id == "in_1")
    invoice.due_at, invoice.updated_at = later, later
    subscription = world.billing.subscriptions[0]
    subscription.cancel_at_period_end, subscription.canceled_at = True, later
    subscription.cancellation_reason, subscription.updated_at = "cancellation_requested", later
    report = load(config, home, world.now)
    assert loaded(report) == {"invoices": 1, "subscriptions": 1}
    assert report.tables["invoices"].extracted < len(world.billing.invoices) / 2
    held_as_told(home, server)


def test_what_is_deleted_keeps_its_row_marked_deleted(config, after_first_load, server):
    home = after_first_load
    post(server, "customers/cus_kyoto/delete")
    post(server, "subscriptions/sub_kyoto/delete")
    [mine] = [one["id"] for one in listed(server, "invoice") if one["total"] == 9500][:1]
    post(server, f"invoices/{mine}/delete")
    assert loaded(load(config, home)) == {
        "customers": 1,
        "subscriptions": 1,
        "subscription_coupons": 1,
        "invoices": 1,
        "invoice_lines": 1,
    }
    for table, key in (("customers", "cus_kyoto"), ("subscriptions", "sub_kyoto"), ("invoices", mine)):
        assert [row["id"] for row in rows(home, table, f"is_deleted and id = '{key}'")] == [key]
    held_as_told(home, server)
    assert loaded(load(config, home)) == {}


def test_a_merged_customer_is_deleted_and_its_subscription_moves(config, after_first_load, world, server):
    home = after_first_load
    post(server, "customers/cus_switch/delete")
    moved = next(one for one in world.billing.subscriptions if one.id == "sub_switch")
    moved.customer_id, moved.updated_at = "cus_acme", AS_OF - timedelta(seconds=1)
    assert loaded(load(config, home)) == {"customers": 1, "subscriptions": 1}
    held_as_told(home, server)


def test_a_price_that_is_listed_no_more_counts_as_deleted(config, home, world):
    prices = world.billing.prices
    prices.append(dataclasses.replace(prices[0], id="price_old"))
    load(config, home)
    del prices[-1]
    assert loaded(load(config, home)) == {"item_prices": 1}
    assert [row["id"] for row in rows(home, "item_prices", "is_deleted")] == ["price_old"]


def test_what_appears_or_changes_while_paging_is_not_missed(config, home, world, server, monkeypatch):
    monkeypatch.setattr(chargebee, "PAGE", 2)
    asked, customers, tell = [], world.billing.customers, site._Api.bodies

    def disturbed(api, resource):
        if resource.name == "customer":
            asked.append(resource)
            if len(asked) == 2:  # the first page, with acme on it, has been read
                customers[0].name, customers[0].updated_at = "Changed", AS_OF - timedelta(minutes=2)
                customers.append(new_customer("cus_new", AS_OF - timedelta(minutes=1)))
        return tell(api, resource)

    monkeypatch.setattr(site._Api, "bodies", disturbed)
    report = load(config, home)
    monkeypatch.undo()
    assert report.tables["customers"].extracted == len(customers) + 1  # one came twice
    held_as_told(home, server)


def test_an_invoice_that_changes_while_paging_keeps_its_last_lines(config, home, world, server, monkeypatch):
    monkeypatch.setattr(chargebee, "PAGE", 5)
    asked, tell = [], site._Api.bodies
    invoice = world.billing.invoices[0]

    def disturbed(api, resource):
        if resource.name == "invoice":
            asked.append(resource)
            if len(asked) == 2:
                invoice.lines[0].description = "Changed"
                invoice.updated_at = AS_OF - timedelta(minutes=2)
        return tell(api, resource)

    monkeypatch.setattr(site._Api, "bodies", disturbed)
    load(config, home)
    monkeypatch.undo()
    [line] = rows(home, "invoice_lines", f"invoice_id = '{invoice.id}'")
    assert line["description"] == "Changed"
    held_as_told(home, server)


def new_customer(key, at):
    return Customer(key, "New", f"{key}@new.example", "DE", None, "USD", at, at)


def test_a_late_commit_inside_the_lag_window_is_not_missed(config, after_first_load, world, server):
    home = after_first_load
    newest = max(one.updated_at for one in world.billing.customers)
    world.billing.customers.append(new_customer("cus_late", newest - timedelta(minutes=9)))
    assert loaded(load(config, home)) == {"customers": 1}
    held_as_told(home, server)


def test_lines_beyond_the_embedded_ones_are_followed_to_the_end(config, home, server, monkeypatch):
    monkeypatch.setattr(chargebee_documents, "EMBEDDED_LINES", 7)
    monkeypatch.setattr(chargebee, "LINES_PAGE", 10)
    load(config, home)
    [invoice] = rows(home, "invoices", "subscription_id is null")
    lines = rows(home, "invoice_lines", f"invoice_id = '{invoice['id']}'")
    assert len(lines) == 40
    assert sum(line["amount"] for line in lines) == invoice["sub_total"]
    held_as_told(home, server)


def test_a_month_of_changes_ends_where_a_fresh_load_ends(sandbox_server, home, tmp_path):
    world = simulate(seed=9, months=8, size=40)
    server = sandbox_server(world)
    config = SourceConfig(name="chargebee", silo="billing", type="chargebee", base_url=f"{server}/chargebee")
    load(config, home, world.now)
    later = simulate(seed=9, months=8, size=40, now=world.now + timedelta(days=30))
    vars(world).update(vars(later))  # the server goes on serving the same object
    report = load(config, home, world.now)
    assert 0 < report.tables["invoices"].extracted < report.tables["invoices"].total / 2
    fresh = Home(tmp_path / "fresh")
    load(config, fresh, world.now)
    for table in TABLES:
        if table == "subscription_coupons":  # those that ran out are still known
            assert {row["coupon_id"] for row in rows(home, table)} >= {
                row["coupon_id"] for row in rows(fresh, table)
            }
            continue
        assert rows(home, table) == rows(fresh, table), table
    assert loaded(load(config, home, world.now)) == {}


def test_passing_faults_are_retried(config, home, server):
    fault(server, "/api/v2/customers", "500", 1)
    fault(server, "/api/v2/invoices", "429", 1)
    assert load(config, home).tables["invoices"].total > 0
    held_as_told(home, server)


@pytest.mark.parametrize(
    ("kind", "words"), [("401", "SOURCES__CHARGEBEE__API_KEY"), ("broken_json", "not valid JSON")]
)
def test_lasting_faults_are_one_message_and_load_nothing(config, after_first_load, server, kind, words):
    home = after_first_load
    before = rows(home, "customers")
    post(server, "customers/cus_acme", email="new@acme.example")
    fault(server, "/api/v2/items", kind, 1)
    with pytest.raises(UserError, match=words) as raised:
        load(config, home)
    assert "sandbox-chargebee-key" not in str(raised.value)
    assert rows(home, "customers") == before
    assert loaded(load(config, home)) == {"customers": 1}


def test_a_field_nobody_documented_is_kept_beside_the_row(config, home, monkeypatch, caplog):
    tell = site._Api.bodies

    def with_loyalty(api, resource):
        return [
            body | {"loyalty": 3} if resource.name == "customer" else body for body in tell(api, resource)
        ]

    monkeypatch.setattr(site._Api, "bodies", with_loyalty)
    load(config, home)
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        found = warehouse.execute("select distinct _extra from raw_chargebee.customers").fetchall()
    assert found == [('{"loyalty":3}',)]
    assert "loyalty" in caplog.text


@pytest.mark.parametrize(
    ("path", "field", "words"),
    [
        ("transactions", "amount", "column 'amount': the type changed from bigint to list"),
        ("subscriptions", "status", "column 'status': the type changed from text to list"),
        ("invoices", "date_from", "column 'date_from': the type changed from timestamp to list"),
        ("invoices", "line_items", "column 'line_items': the type changed from list of objects to list of"),
    ],
)
def test_a_flipped_type_names_the_column_and_loads_nothing(
    config, after_first_load, server, world, path, field, words
):
    home = after_first_load
    before = {table: rows(home, table) for table in TABLES}
    world.billing.invoices[0].updated_at = AS_OF - timedelta(seconds=1)
    world.billing.subscriptions[0].updated_at = AS_OF - timedelta(seconds=1)
    fault(server, f"/api/v2/{path}", "flip_type", 99, field=field)
    with pytest.raises(UserError, match=words):
        load(config, home)
    assert {table: rows(home, table) for table in TABLES} == before


def test_check_tells_what_is_wrong(config, server, monkeypatch):
    chargebee.check(config)
    with pytest.raises(UserError, match=r"https://acme\.chargebee\.com"):
        chargebee.check(config.model_copy(update={"base_url": None}))
    old = site.error(400, "configuration_incompatible", "Items are not enabled", "invalid_request")
    with monkeypatch.context() as patch:
        patch.setattr(site, "unauthorised", lambda: old)
        fault(server, "/api/v2/items", "401", 1)
        with pytest.raises(UserError, match=r"no Product Catalog 2\.0 \(Items are not enabled\)"):
            chargebee.check(config)
    monkeypatch.setenv("SOURCES__CHARGEBEE__API_KEY", "wrong")
    with pytest.raises(UserError, match="401"):
        chargebee.check(config)
