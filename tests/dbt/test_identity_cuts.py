"""Groups that contradict themselves: cut at the weakest link, and listed."""

from __future__ import annotations

from typing import Any

import pytest
from identity_company import IdentityCompany, Row, clusters

from identity import cuts
from settings.paths import DBT_PROJECT


@pytest.fixture(scope="module")
def company(resolved: IdentityCompany) -> IdentityCompany:
    resolved.forget()
    resolved.run(accounts=ACCOUNTS, customers=CUSTOMERS, contacts=CONTACTS)
    return resolved


def account(key: str, name: str, domain: str = "", **more: str) -> Row:
    return {"account_id": key, "name": name, "domain": domain, "created_at": "2025-01-01", **more}


def contact(key: str, at: str, email: str, first: str, last: str, **more: str) -> Row:
    return {
        "contact_id": key,
        "account_id": at,
        "email": email,
        "first_name": first,
        "last_name": last,
        **more,
    }


ACCOUNTS = [
    # An agency's domain, entered for its clients; one of them twice.
    account("m1", "Harbor Freight", "agency.example"),
    account("m2", "Lumen Robotics", "agency.example"),
    account("m3", "Quartz Textiles", "agency.example"),
    account("m4", "Willow Insurance", "agency.example"),
    account("m5", "Lumen Robotics Inc", "agency.example"),
    # A company of many names under its own domain is one.
    account("n1", "Northwind", "northwind.example"),
    account("n2", "Northwind Trading", "northwind.example"),
    account("n3", "Northwind Energy", "northwind.example"),
    account("n4", "Northwind Services", "northwind.example"),
    account("n5", "Northwind Holding", "northwind.example"),
    # Two tax ids, two customers by their ids, a parent: what one domain does not make one.
    account("t1", "Tor", "tor.example", tax_id="DE1"),
    account("t2", "Zeal Ventures", "tor.example", tax_id="DE 2"),
    account("u1", "Uma", "uma.example"),
    account("u2", "Uma Labs", "uma.example"),
    account("v1", "Vex", "vex.example"),
    account("v2", "Vex France", "vex.example", parent_account_id="v1"),
    # Two companies with the same customer's id.
    account("w1", "Wes", "wes.example"),
    account("w2", "Xan", "xan.example", billing_customer_id="c3"),
    # One name, two domains.
    account("y1", "Yorick", "yorick.example", country="DE"),
    account("y2", "Yorick GmbH", "yorick-shop.example", country="DE"),
    *(
        account(f"z{n}", f"{word} Zone {n}")
        for n, word in enumerate(("Ash", "Bel", "Cor", "Dun", "Eld", "Fox"))
    ),
]
CUSTOMERS = [
    {"customer_id": "c1", "name": "Uma", "crm_account_id": "u1"},
    {"customer_id": "c2", "name": "Uma Labs", "crm_account_id": "u2"},
    {"customer_id": "c3", "name": "Wes", "crm_account_id": "w1"},
]
CONTACTS = [
    contact("p1", "n1", "info@northwind.example", "Ann", "Lee"),
    contact("p2", "n1", "info@northwind.example", "Boris", "Quist"),
    contact("p3", "n1", "info@northwind.example", "A.", "Lee"),
    # Born on one day under one name, at more companies than anybody works for.
    *(contact(f"q{n}", f"z{n}", "", "Ivan", "Petrov", birth_date="1980-05-05", city="Ulm") for n in range(6)),
]


def candidate(company: IdentityCompany, one: str, other: str) -> list[tuple[Any, ...]]:
    pair = sorted((one, other))
    return company.rows(
        "select method, why from identity.candidates"
        f" where left_record = '{pair[0]}' and right_record = '{pair[1]}'"
    )


@pytest.mark.parametrize(
    ("together", "against", "method", "why"),
    [
        ({"m1"}, ("m1", "m2"), "domain", "a domain of 4 companies"),
        ({"m2", "m5"}, ("m1", "m3"), "domain", "a domain of 4 companies"),
        ({"n1", "n2", "n3", "n4", "n5"}, None, "", ""),
        ({"t1"}, ("t1", "t2"), "domain", "different tax ids"),
        ({"u1", "c1"}, ("u1", "u2"), "domain", "different customers by their ids"),
        ({"v1"}, ("v1", "v2"), "domain", "one is the other's parent"),
        ({"w1", "c3"}, ("w2", "c3"), "billing_customer_id", "different domains"),
        ({"y1"}, ("y1", "y2"), "name", "different domains"),
    ],
)
def test_companies_that_contradict_themselves_are_cut_and_listed(
    company: IdentityCompany, together: set[str], against: tuple[str, str] | None, method: str, why: str
) -> None:
    def record(key: str) -> str:
        return f"billing:{key}" if key.startswith("c") else f"crm:{key}"

    assert {record(key) for key in together} in clusters(company.accounts())
    if against:
        one, other = (record(key).replace(":", ":pay:" if key[0] == "c" else ":hub:") for key in against)
        assert candidate(company, one, other) == [(method, why)]


def test_a_shared_mailbox_is_not_one_person(company: IdentityCompany) -> None:
    people = clusters(company.people())
    assert {"contact:p1", "contact:p3"} in people
    assert {"contact:p2"} in people
    assert candidate(company, "contact:hub:p1", "contact:hub:p2") == [
        ("email", "different names at one address")
    ]


def test_one_person_at_six_companies_is_cut_and_listed(company: IdentityCompany) -> None:
    groups = [group for group in clusters(company.people()) if any("contact:q" in one for one in group)]
    assert len(groups) > 1
    assert max(len(group) for group in groups) <= 3
    listed = company.rows(
        "select distinct why from identity.candidates where left_record like 'contact:hub:q%'"
    )
    assert {why for (why,) in listed} <= {f"one person at {n} companies" for n in (4, 5, 6)}
    assert listed


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("account_doubts", f"count(distinct name) > {cuts.MOST_NAMES_AT_A_DOMAIN}"),
        ("people_doubts", f"count(distinct facts.works_at) > {cuts.MOST_COMPANIES_OF_A_PERSON}"),
    ],
)
def test_the_groups_that_sql_picks_are_those_that_may_be_cut(model: str, asked: str) -> None:
    assert asked in (DBT_PROJECT / "models" / "identity" / f"identity__{model}.sql").read_text()
