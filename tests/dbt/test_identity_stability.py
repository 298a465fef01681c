"""Identity over several runs: what arrives in any order, is decided or taken back, and what stays."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from identity_company import IdentityCompany, Row, clusters

Tables = dict[str, list[Row]]

WORDS = (
    "Harbor",
    "Cedar",
    "Falcon",
    "Granite",
    "Juniper",
    "Lumen",
    "Orchid",
    "Quartz",
    "Summit",
    "Willow",
    "Zephyr",
    "Kestrel",
)
KINDS = ("Freight", "Health", "Robotics", "Logistics", "Textiles", "Analytics", "Insurance", "Materials")
FIRST = ("Ada", "Benjamin", "Carla", "Dimitri", "Elif", "Femi", "Greta", "Hannah", "Ivan", "Jolanta")
LAST = ("Abbott", "Berger", "Costa", "Dahlberg", "Evans", "Fischer", "Garcia", "Haas", "Jansen", "Kaya")


@pytest.fixture
def company(resolved: IdentityCompany) -> IdentityCompany:
    resolved.forget()
    return resolved


def noisy(rng: random.Random) -> Tables:
    """Companies and people with several records each, misspelt, renamed, half known, and some that clash."""
    found: Tables = {"accounts": [], "contacts": [], "leads": [], "recipients": [], "customers": []}

    def key(table: str) -> str:
        return f"{table[0]}{len(found[table]) + 1:03}"

    def day() -> str:
        return f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"

    def typo(text: str) -> str:
        place = rng.randrange(1, len(text) - 1)
        return text[:place] + text[place + 1 :] if rng.random() < 0.4 else text

    for word in WORDS:
        name = f"{word} {rng.choice(KINDS)}"
        domain = f"{word.lower()}.example"
        country = rng.choice(["DE", "FR"])
        own = []
        for _ in range(rng.randint(1, 3)):
            own.append(key("accounts"))
            found["accounts"].append(
                {
                    "account_id": own[-1],
                    "name": rng.choice([name, f"{name} GmbH", f"{name} Ltd", typo(name)]),
                    "domain": rng.choice([domain, domain, "", "agency.example"]),
                    "country": country,
                    "tax_id": rng.choice(["", "", f"T{word}", f"T{word}2"]),
                    "parent_account_id": rng.choice(["", "", own[0]]),
                    "created_at": day(),
                }
            )
        for _ in range(rng.randint(0, 2)):
            found["customers"].append(
                {
                    "customer_id": key("customers"),
                    "name": typo(name),
                    "email": rng.choice([f"pay@{domain}", "pay@gmail.com", f"{word.lower()}@gmail.com"]),
                    "country": country,
                    "tax_id": rng.choice(["", "", f"T{word}"]),
                    "crm_account_id": rng.choice(["", "", *own]),
                    "created_at": day(),
                }
            )
        for _ in range(rng.randint(1, 3)):
            first, last = rng.choice(FIRST), rng.choice(LAST)
            mailbox = f"{first}.{last}".lower()
            email = rng.choice([f"{mailbox}@{domain}", f"{mailbox}@gmail.com", f"info@{domain}", ""])
            for _ in range(rng.randint(1, 2)):
                found["contacts"].append(
                    {
                        "contact_id": key("contacts"),
                        "account_id": rng.choice(own),
                        "email": email,
                        "first_name": typo(first),
                        "last_name": typo(last),
                        "created_at": day(),
                    }
                )
            found["leads"].append(
                {
                    "lead_id": key("leads"),
                    "email": rng.choice([email, f"{mailbox[0]}{last.lower()}@{domain}"]),
                    "first_name": first,
                    "last_name": last,
                    "company_name": name,
                    "converted_contact_id": rng.choice(["", found["contacts"][-1]["contact_id"]]),
                    "created_at": day(),
                }
            )
            found["recipients"].append(
                {
                    "recipient_id": key("recipients"),
                    "email": f"{mailbox}+news@{domain}",
                    "first_name": first,
                    "last_name": typo(last),
                    "company_name": name,
                    "added_at": day(),
                }
            )
    return found


def in_batches(tables: Tables, rng: random.Random, batches: int) -> Iterator[Tables]:
    """What there is after each batch; records come in any order, and in any order within their files."""
    rank = {id(row): rng.randrange(batches) for rows in tables.values() for row in rows}
    for batch in range(batches):
        there = {name: [row for row in rows if rank[id(row)] <= batch] for name, rows in tables.items()}
        for rows in there.values():
            rng.shuffle(rows)
        yield there


def changes(company: IdentityCompany) -> set[tuple[Any, ...]]:
    return set(company.rows("select entity, run, kind, from_id, to_id from identity.changes"))


def assert_only_recorded_changes(
    before: dict[str, str], after: dict[str, str], recorded: set[tuple[Any, ...]]
) -> None:
    """Records that go to another id do so by a merge or split, and only by these."""
    moved = {(before[record], after[record]) for record in before.keys() & after.keys()}
    moved = {(old, new) for old, new in moved if old != new}
    assert moved == {(old, new) for _, _, _, old, new in recorded}
    for _, _, kind, old, _ in recorded:
        assert (kind == "split") == (old in after.values())


@pytest.mark.parametrize("seed", [1, 2, 3] if os.environ.get("REVOPS_TEST_ALL") == "1" else [1])
def test_any_order_and_batches_give_the_same_clusters_and_no_unrecorded_id(
    company: IdentityCompany, seed: int
) -> None:
    rng = random.Random(seed)
    tables = noisy(rng)
    company.run(**tables)
    accounts, people = clusters(company.accounts()), clusters(company.people())
    assert len(accounts) < len(tables["accounts"]) + len(tables["customers"])
    assert company.rows("select count(*) from identity.cuts") > [(0,)]
    assert company.rows("select count(*) from identity.links where method = 'likeness'") > [(0,)]

    company.forget()
    known: list[dict[str, str]] = [{}, {}]
    recorded: set[tuple[Any, ...]] = set()
    for there in in_batches(tables, rng, 3):
        company.run(**there)
        now = [company.accounts(), company.people()]
        new = changes(company) - recorded
        for entity, before, after in zip(("account", "person"), known, now, strict=True):
            assert_only_recorded_changes(before, after, {one for one in new if one[0] == entity})
        recorded |= new
        known = now
    assert recorded
    assert clusters(known[0]) == accounts
    assert clusters(known[1]) == people


def edited(tables: Tables, rng: random.Random) -> Tables:
    """A day later: some records are gone, some have another's address, or another name."""
    found: Tables = {}
    for table, rows in tables.items():
        found[table] = [dict(row) for row in rows if rng.random() > 0.1]
        for row in found[table]:
            for column in ("email", "first_name", "name", "tax_id", "city", "company_name"):
                if row.get(column) and rng.random() < 0.15:
                    row[column] = rng.choice(rows).get(column, "")
    return found


def test_what_is_kept_from_run_to_run_is_what_would_be_written_anew(company: IdentityCompany) -> None:
    rng = random.Random(4)
    tables = noisy(rng)
    company.forget()
    company.run(**tables)
    for _ in range(2):
        before = kept(company)
        tables = edited(tables, rng)
        company.run(**tables)
        found = kept(company), state(company)
        assert all(rows and rows != earlier for rows, earlier in zip(found[0], before, strict=True))
        company.drop(*KEPT)
        company.run(**tables)
        assert (kept(company), state(company)) == found


KEPT = ("account_features", "people_features")


def kept(company: IdentityCompany) -> list[list[tuple[Any, ...]]]:
    return [sorted(company.rows(f"select * from identity.{table}"), key=str) for table in KEPT]


def account(key: str, day: int, **more: str) -> Row:
    return {"account_id": key, "created_at": f"2025-03-{day:02}", **more}


def state(company: IdentityCompany) -> list[list[tuple[Any, ...]]]:
    tables = (
        "records",
        "people_records",
        "people",
        "accounts",
        "links",
        "people_links",
        "candidates",
        "cuts",
    )
    return [sorted(company.rows(f"select * from identity.{table}"), key=str) for table in tables]


def log(company: IdentityCompany) -> list[list[tuple[Any, ...]]]:
    tables = ("account_ids", "people_ids", "account_scores", "people_scores")
    return [sorted(company.rows(f"select * from identity.{table}"), key=str) for table in tables]


def test_a_new_record_renames_nothing_and_a_rerun_writes_nothing(company: IdentityCompany) -> None:
    first = account("a5", 5, name="Acme", domain="acme.example")
    person = {"contact_id": "p5", "account_id": "a5", "email": "ann@acme.example", "created_at": "2025-03-05"}
    company.run(accounts=[first], contacts=[person])
    older = account("a1", 1, name="Acme Inc", domain="acme.example")
    earlier = {**person, "contact_id": "p1", "created_at": "2025-03-01"}
    company.run(accounts=[older, first], contacts=[earlier, person])
    assert company.accounts() == {"crm:a1": "crm:hub:a5", "crm:a5": "crm:hub:a5"}
    assert company.people() == {"contact:p1": "contact:hub:p5", "contact:p5": "contact:hub:p5"}
    written = log(company)
    company.run(accounts=[older, first], contacts=[earlier, person])
    assert log(company) == written
    company.run(accounts=[older], contacts=[earlier])  # the record the ids are named after is deleted
    assert set(company.accounts().values()) == {"crm:hub:a5"}
    assert set(company.people().values()) == {"contact:hub:p5"}
    assert changes(company) == set()


def test_a_merge_keeps_the_older_id_and_a_split_gives_the_other_back(company: IdentityCompany) -> None:
    one = account("a5", 5, name="Acme", domain="acme.example")
    two = account("a1", 1, name="Brick", domain="brick.example")
    company.run(accounts=[one])
    company.run(accounts=[one, two])
    apart = company.accounts()
    assert apart == {"crm:a1": "crm:hub:a1", "crm:a5": "crm:hub:a5"}
    company.run(accounts=[one, two | {"tax_id": "T1"}])
    assert company.accounts() == apart
    company.run(accounts=[one | {"tax_id": "T1"}, two | {"tax_id": "T1"}])
    assert set(company.accounts().values()) == {"crm:hub:a5"}
    company.run(accounts=[one, two])
    assert company.accounts() == apart
    shown = "select kind, from_id, to_id, records, reason from identity.changes order by run"
    assert company.rows(shown) == [
        ("merge", "crm:hub:a1", "crm:hub:a5", 1, "tax_id: T1"),
        ("split", "crm:hub:a5", "crm:hub:a1", 1, "no longer tax_id: T1"),
    ]


def test_a_decision_wins_and_its_removal_restores_all(company: IdentityCompany) -> None:
    tables = {
        "accounts": [
            account("a1", 1, name="Acme", domain="acme.example"),
            account("a2", 2, name="Brick", domain="brick.example"),
            account("a3", 3, name="Brick Ltd", domain="brick.example"),
        ],
        "customers": [
            {"customer_id": "c1", "name": "Pay", "crm_account_id": "a1", "created_at": "2025-03-09"}
        ],
        "contacts": [{"contact_id": "p1", "account_id": "a1", "email": "ann@acme.example"}],
    }
    company.run(**tables)
    before = state(company)
    for line, cluster in (
        ("link,crm:hub:a1,crm:hub:a2,ann,one owner", {"crm:a1", "crm:a2", "crm:a3", "billing:c1"}),
        ("apart,crm:hub:a2,crm:hub:a3,ann,sold in 2024", {"crm:a2"}),
        ("apart,crm:hub:a1,billing:pay:c1,ann,another Acme", {"crm:a1"}),
    ):
        assert cluster not in clusters(company.accounts())
        company.overrides = [line]
        company.run(**tables)
        assert cluster in clusters(company.accounts()), line
        company.overrides = []
        company.run(**tables)
        assert state(company) == before, line


def test_people_are_decided_on_too(company: IdentityCompany) -> None:
    person = {"account_id": "", "email": "", "first_name": "", "last_name": ""}
    contacts = [
        person | {"contact_id": "p1", "email": "ann@one.example"},
        person | {"contact_id": "p2", "email": "ann@two.example"},
        person | {"contact_id": "p3", "email": "ann@two.example"},
    ]
    company.run(contacts=contacts)
    before = state(company)
    company.overrides = [
        "link,contact:hub:p1,contact:hub:p2,bo,she moved",
        "apart,contact:hub:p3,contact:hub:p2,bo,another Ann",
    ]
    company.run(contacts=contacts)
    assert clusters(company.people()) == {frozenset({"contact:p1", "contact:p2"}), frozenset({"contact:p3"})}
    company.overrides = []
    company.run(contacts=contacts)
    assert state(company) == before


def test_a_decision_leaves_no_trace_on_an_id_whose_record_is_gone(company: IdentityCompany) -> None:
    first = account("a1", 1, name="Acme", domain="acme.example")
    named_after = account("a2", 2, name="Brick", domain="brick.example")
    others = [account(key, 3, name="Brick", domain="brick.example") for key in ("a3", "a4")]
    company.run(accounts=[first, named_after, *others])
    company.run(accounts=[first, *others])
    before = state(company)
    assert company.accounts()["crm:a3"] == "crm:hub:a2"
    company.overrides = ["link,crm:hub:a1,crm:hub:a3,ann,one owner"]
    company.run(accounts=[first, *others])
    assert set(company.accounts().values()) == {"crm:hub:a1"}
    company.overrides = []
    company.run(accounts=[first, *others])
    assert state(company) == before
