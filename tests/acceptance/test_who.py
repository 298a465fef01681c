"""`revops who` on a noisy company: an account by anything that names it, an ambiguous one, an unknown one."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from revops import Revops

from sandbox.ledger import Ledger
from sandbox.state import read_state
from sandbox.world import Company, Contact, Customer, Deal, World


@pytest.fixture(scope="module")
def revops(noisy_company: Callable[[int], Revops]) -> Revops:
    return noisy_company(23)


@pytest.fixture(scope="module")
def ledger(revops: Revops) -> Ledger:
    return Ledger(read_state(revops.home / "sandbox").simulate())


@pytest.fixture(scope="module")
def sold(ledger: Ledger) -> tuple[Company, Contact, Customer, Deal]:
    """A company that nothing blurs, not even a subsidiary, its first contact, customer and won deal."""
    world, noise = ledger.world, ledger.identities.noise
    parents = {company.parent_id for company in world.crm.companies}
    for customer in world.billing.customers:
        company = _company(world, customer.crm_account_id)
        if company is None or company.domain is None or company.id in parents:
            continue
        contacts = [c for c in world.crm.contacts if c.company_id == company.id and c.archived_at is None]
        deals = [d for d in world.crm.deals if d.company_id == company.id and d.stage == "closedwon"]
        records = (f"account:{company.id}", f"customer:{customer.id}", f"contact:{contacts[0].id}")
        deals.sort(key=lambda deal: deal.closed_at or world.now)
        if deals and not any(record in noise for record in records):
            return company, contacts[0], customer, deals[0]
    raise AssertionError("every company is noisy")


def _company(world: World, key: str | None) -> Company | None:
    return next((company for company in world.crm.companies if company.id == key), None)


def test_anything_that_names_an_account_leads_to_it(
    revops: Revops, sold: tuple[Company, Contact, Customer, Deal], ledger: Ledger
) -> None:
    company, contact, customer, deal = sold
    world = ledger.world
    [subscription, *_] = [s for s in world.billing.subscriptions if s.customer_id == customer.id]
    [invoice, *_] = [i for i in world.billing.invoices if i.customer_id == customer.id]
    [recipient, *_] = [r for r in world.email.recipients if r.email.lower() == contact.email]
    assert company.domain and contact.email
    answers = [
        revops.json("who", asked)
        for asked in (
            *(company.domain, f"https://www.{company.domain}/", company.name.upper(), contact.email.title()),
            *(f"crm:hubspot:{company.id}", f"contact:hubspot:{contact.id}", customer.id, subscription.id),
            *(invoice.id, f"opportunity:hubspot:{deal.id}", f"recipient:mailshake:{recipient.id}"),
        )
    ]
    assert {answer["status"] for answer in answers} == {"found"}
    accounts = {answer["account"] for answer in answers}
    assert accounts == {f"crm:hubspot:{company.id}"}
    for answer in answers:
        answer.pop("query")
        assert answer.pop("matched")
    assert all(answer == answers[0] for answer in answers)


def test_an_account_shows_its_records_its_people_and_its_funnel(
    revops: Revops, sold: tuple[Company, Contact, Customer, Deal]
) -> None:
    company, contact, customer, deal = sold
    answer = revops.json("who", str(company.domain))
    records = {(r["silo"], r["record_id"]): r for r in answer["records"]}
    assert records["billing", customer.id]["method"] == "crm_account_id"
    assert records["billing", customer.id]["evidence"] == company.id
    assert ("crm", company.id) in records
    person = next(p for p in answer["people"] if contact.email in p["emails"])
    assert {"contact", "recipient"} <= {*person["known_as"]}
    steps = {step["step"]: step for step in reversed(answer["funnel"])}
    won = steps["won"]
    assert (won["silo"], won["source"], won["record_id"]) == ("crm", "hubspot", deal.id)
    assert deal.closed_at and won["occurred_at"] == f"{deal.closed_at:%Y-%m-%dT%H:%M:%SZ}"
    assert steps["subscribed"]["silo"] == "billing"
    times = [step["occurred_at"] for step in answer["funnel"]]
    assert times == sorted(times)
    shown = revops("who", str(company.domain)).stdout
    for part in (company.name, str(company.domain), customer.id, "crm account id", str(contact.email)):
        assert part in shown
    assert deal.id in shown and f"{deal.closed_at:%Y-%m-%d %H:%M}" in shown


def test_who_fits_several_accounts_is_told_how_to_choose(revops: Revops, ledger: Ledger) -> None:
    """An accountant's address: the customers it is of are companies of their own."""
    clients: dict[str, set[str]] = defaultdict(set)
    for customer in ledger.world.billing.customers:
        if "paid_by_accountant" in ledger.identities.noise.get(f"customer:{customer.id}", []):
            clients[str(customer.email)].add(customer.name)
    address, names = max(clients.items(), key=lambda item: len(item[1]))
    answer = revops.json("who", address)
    assert answer["status"] == "ambiguous"
    assert {match["name"] for match in answer["matches"]} == names
    assert all(match["matched"] == ["customer address"] for match in answer["matches"])
    shown = revops("who", address).stdout
    assert f"'{address}' is {len(names)} accounts" in shown
    for match in answer["matches"]:
        assert match["account"] in shown
        assert revops.json("who", match["account"])["name"] == match["name"]
    assert f"revops who {answer['matches'][0]['account']}" in shown


def test_what_is_left_to_decide_is_shown(
    revops: Revops, sold: tuple[Company, Contact, Customer, Deal], tmp_path: Path
) -> None:
    """Links that identity was not sure of, at both accounts, with what speaks for and against each."""
    company, *_ = sold
    asked = Revops(tmp_path, revops.config)
    shutil.copy(revops.home / "warehouse.duckdb", tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            "create or replace table identity.candidates as select 'account' as kind,"
            " 'crm:hubspot:1' as left_record, $account as left_known_as, 'crm:hubspot:2' as right_record,"
            " 'crm:hubspot:2' as right_known_as, 'likeness' as method, 0.71 as score, 'names' as evidence,"
            " 'countries' as why",
            {"account": f"crm:hubspot:{company.id}"},
        )
    [candidate] = asked.json("who", str(company.domain))["for_review"]
    assert (candidate["right_known_as"], candidate["score"]) == ("crm:hubspot:2", 0.71)
    shown = asked("who", str(company.domain)).stdout
    assert "To be decided" in shown and "0.71" in shown and "countries" in shown


def test_a_person_of_no_account_is_shown_alone(revops: Revops, ledger: Ledger) -> None:
    """The e-mail tool alone knows the company: by its people's domain, too."""
    cold = next(a for a in ledger.world.truth.accounts if a.key.startswith("cold-") and a.recipient_ids)
    recipient = next(r for r in ledger.world.email.recipients if r.id == cold.recipient_ids[0])
    answer = revops.json("who", recipient.email)
    assert (answer["status"], answer["account"], answer["records"]) == ("found", None, [])
    assert [recipient.email.lower() in person["emails"] for person in answer["people"]] == [True]
    assert answer["funnel"][0]["step"] == "contacted"
    assert "neither the CRM nor billing" in revops("who", recipient.email).stdout
    assert revops.json("who", recipient.email.split("@")[1])["status"] in ("found", "ambiguous")


def test_nobody_and_who_is_near(revops: Revops, sold: tuple[Company, Contact, Customer, Deal]) -> None:
    company, *_ = sold
    slip = company.name[:3] + company.name[4:]
    said = revops("who", slip, exits=1).stderr
    assert said.startswith(f"revops: nobody is known as {slip!r}. Did you mean {company.name.lower()} (name)")
    answer = revops("who", "qqqq", "--format", "json", exits=1)
    assert '"status": "unknown"' in answer.stdout
    assert "Give a domain, name, address, or an id of any silo" in answer.stderr


def test_before_the_first_run_there_is_nobody(revops: Revops, tmp_path: Path) -> None:
    said = Revops(tmp_path / "home", revops.config)("who", "acme.com", exits=1).stderr
    assert said == f"revops: there is no warehouse in {tmp_path / 'home'} yet. Run `revops run` first\n"
