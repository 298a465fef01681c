"""Links to the records of gaps, in their vendors' pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.catalogue import GATES
from expectations.records import KINDS, Record, record_of
from orchestration.environment import Environment
from orchestration.links import page_address, with_links
from settings.vendors import record_pages, vendors

ONE_OF_EACH = """
[sources.hubspot]
silo = "crm"
type = "hubspot"
record_url = "https://app-eu1.hubspot.com/contacts/42/"

[sources.mail]
silo = "email"
type = "mailchimp"
base_url = "https://us6.api.mailchimp.com"

[sources.stripe]
silo = "billing"
type = "stripe"
"""
TWO_CRMS = """
[sources.hubspot]
silo = "crm"
type = "hubspot"
record_url = "https://app.hubspot.com/contacts/42"

[sources.salesforce]
silo = "crm"
type = "salesforce"
base_url = "https://acme.my.salesforce.com"

[sources.chargebee]
silo = "billing"
type = "chargebee"
base_url = "https://acme.chargebee.com"
"""
HUBSPOT, SALESFORCE = "https://app.hubspot.com/contacts/42", "https://acme.my.salesforce.com/lightning/r"


def configured(load: Callable[[Path], Environment], folder: Path, text: str) -> Environment:
    config = folder / "revops.toml"
    config.write_text(text, encoding="utf-8")
    return load(config)


def links(environment: Environment, *gap: str | None) -> tuple[str | None, str | None]:
    """Of a gap by type, left silo and key, right silo and key."""
    columns = ("gap_type", "silo_left", "key_left", "silo_right", "key_right")
    (found,) = with_links(environment, [dict(zip(columns, gap, strict=True))])
    return found["link_left"], found["link_right"]


def test_each_gate_declares_records_of_known_kinds() -> None:
    for gate in GATES:
        for declared in filter(None, (gate.record_left, gate.record_right)):
            if declared not in ("record", "kind id", "table id"):
                assert set(declared.removesuffix(" ...").split(" or ")) <= KINDS.keys(), gate.gap_type
    assert sum(gate.record_left is not None for gate in GATES) >= 30


def test_pages_are_of_kinds_that_the_vendors_silo_has() -> None:
    known = {name: record_pages(name) for name in vendors()}
    assert [name for name, pages in known.items() if pages is None] == ["mailshake"]
    for name, pages in known.items():
        if pages is not None:
            assert {KINDS[kind][0] for kind in pages.paths} == {vendors()[name]}
            assert pages.fits(pages.example), name


@pytest.mark.parametrize(
    ("declared", "silo", "key", "record"),
    [
        ("opportunity", "crm", "7", Record(["opportunity"], "7")),
        ("subscription ...", "billing", "sub_1 2026-08-18", Record(("subscription",), "sub_1")),
        ("kind id", "crm", "account 7", Record(("account",), "7")),
        ("kind id", "crm", "team 7", None),
        ("table id", "billing", "invoices in_1", Record(("invoice",), "in_1")),
        ("table id", "billing", "payments p_1", None),
        ("contact or recipient", "email", "9", Record(["recipient"], "9")),
        ("contact or lead", "crm", "9", Record(["contact", "lead"], "9")),
        ("record", "billing", "billing:stripe:cus:1", Record(("customer",), "cus:1", "stripe")),
        ("record", "email", "event:mail:9", None),
        ("opportunity", "crm", "(e-mail address)", None),
        ("opportunity", "crm", None, None),
        (None, "crm", "7", None),
    ],
)
def test_which_record_a_key_is_of(declared: Any, silo: str, key: Any, record: Record | None) -> None:
    assert record_of(declared, silo, key) == record


def test_a_record_of_the_only_source_is_linked(load: Callable[[Path], Environment], tmp_path: Path) -> None:
    environment = configured(load, tmp_path, ONE_OF_EACH)
    hubspot, stripe = "https://app-eu1.hubspot.com/contacts/42", "https://dashboard.stripe.com"
    for gap, expected in {
        ("deal_contract_mismatch", "crm", "7", "billing", "sub_1"): (
            f"{hubspot}/record/0-3/7",
            f"{stripe}/subscriptions/sub_1",
        ),
        ("paying_without_crm", "billing", "cus_1", "crm", None): (f"{stripe}/customers/cus_1", None),
        ("churned_but_customer", "billing", "cus_1", "crm", "8"): (
            f"{stripe}/customers/cus_1",
            f"{hubspot}/record/0-2/8",
        ),
        ("bounced_but_active", "email", "301", "crm", "9"): (
            "https://us6.admin.mailchimp.com/lists/members/view?id=301",
            f"{hubspot}/record/0-1/9",
        ),
        # A lead is a contact there, so it does not matter which it is.
        ("duplicate_people", "crm", "9", "crm", "10"): (
            f"{hubspot}/record/0-1/9",
            f"{hubspot}/record/0-1/10",
        ),
        ("past_due_unattended", "billing", "in_1/../x?y", "crm", None): (
            f"{stripe}/invoices/in_1%2F..%2Fx%3Fy",
            None,
        ),
        ("off_list_price", "billing", "si_1", "billing", "price_1"): (None, f"{stripe}/prices/price_1"),
        ("ambiguous_identity", "crm", "crm:hubspot:8", "billing", "billing:other:cus_1"): (
            f"{hubspot}/record/0-2/8",
            None,
        ),
        ("stale_source", "crm", "hubspot", "crm", None): (None, None),
        ("of_an_older_release", "crm", "7", "crm", None): (None, None),
    }.items():
        assert links(environment, *gap) == expected, gap


def test_of_several_sources_the_one_that_has_the_record_is_linked(
    load: Callable[[Path], Environment], tmp_path: Path
) -> None:
    environment = configured(load, tmp_path, TWO_CRMS)
    gap = ("idle_opportunity", "crm", "006A", "crm", None)
    assert links(environment, *gap) == (None, None)  # nobody can say yet
    environment.home.root.mkdir(exist_ok=True)
    with duckdb.connect(str(environment.home.warehouse)) as warehouse:
        warehouse.execute("create schema crm")
        for kind in ("opportunity", "contact", "lead"):
            _, table, key = KINDS[kind]
            warehouse.execute(f"create table crm.{table} (source text, {key} text)")
        warehouse.execute(
            "insert into crm.opportunities values ('salesforce', '006A'), ('hubspot', '7'),"
            " ('hubspot', 'both'), ('salesforce', 'both')"
        )
        warehouse.execute("insert into crm.leads values ('salesforce', '00Q1'), ('hubspot', '12')")
        warehouse.execute("insert into crm.contacts values ('salesforce', '0031'), ('hubspot', '12')")
    assert links(environment, *gap) == (f"{SALESFORCE}/Opportunity/006A/view", None)
    assert links(environment, "idle_opportunity", "crm", "7", "crm", None)[0] == f"{HUBSPOT}/record/0-3/7"
    assert links(environment, "idle_opportunity", "crm", "both", "crm", None) == (None, None)
    assert links(environment, "idle_opportunity", "crm", "gone", "crm", None) == (None, None)
    people = links(environment, "duplicate_people", "crm", "00Q1", "crm", "0031")
    assert people == (f"{SALESFORCE}/Lead/00Q1/view", f"{SALESFORCE}/Contact/0031/view")
    assert links(environment, "duplicate_people", "crm", "12", "crm", "13") == (
        f"{HUBSPOT}/record/0-1/12",
        None,
    )
    billing = links(environment, "paying_without_crm", "billing", "c 1", "crm", None)
    assert billing == ("https://acme.chargebee.com/admin-console/customers/c%201", None)


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ('type = "hubspot"\nsilo = "crm"', None),
        ('type = "stripe"\nsilo = "billing"\nbase_url = "http://127.0.0.1:8600/stripe"', None),
        (
            'type = "stripe"\nsilo = "billing"\nbase_url = "https://api.stripe.com"',
            "https://dashboard.stripe.com",
        ),
        ('type = "pipedrive"\nsilo = "crm"', None),
        ('type = "pipedrive"\nsilo = "crm"\nbase_url = "https://api.pipedrive.com"', None),
        (
            'type = "pipedrive"\nsilo = "crm"\nbase_url = "https://acme.pipedrive.com/x"',
            "https://acme.pipedrive.com",
        ),
        ('type = "salesforce"\nsilo = "crm"\nbase_url = "https://acme.my.salesforce.com.evil.example"', None),
        ('type = "mailshake"\nsilo = "email"', None),
        ('type = "mailchimp"\nsilo = "email"', "https://us21.admin.mailchimp.com"),
    ],
)
def test_where_the_pages_of_a_source_are(
    load: Callable[[Path], Environment],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    address: str | None,
) -> None:
    monkeypatch.setenv("SOURCES__ONE__API_KEY", "0123456789-us21")
    environment = configured(load, tmp_path, f"[sources.one]\n{source}\n")
    assert page_address(environment.config.sources["one"]) == address


def test_a_key_that_is_missing_leaves_the_link_out(
    load: Callable[[Path], Environment], tmp_path: Path
) -> None:
    environment = configured(load, tmp_path, '[sources.two]\nsilo = "email"\ntype = "mailchimp"\n')
    assert page_address(environment.config.sources["two"]) is None
