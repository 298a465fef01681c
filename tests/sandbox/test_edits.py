"""What is edited by hand in the sandbox's tools shows in every vendor's API as a change, and lasts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from serving import serving

from sandbox.server import app
from sandbox.state import Company, State, advance, prepare, read_state, write_state
from sandbox.world import World
from settings.errors import UserError

SMALL = State(seed=5, months=3, size=30)
BEARER = {vendor: {"Authorization": f"Bearer sandbox-{vendor}-key"} for vendor in ("hubspot", "stripe")}
TASK = {
    "id": "77",
    "activity_type": "call",
    "direction": "outbound",
    "is_automated": False,
    "owner_id": None,
    "company_id": None,
    "contact_id": None,
    "deal_id": None,
}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    write_state(tmp_path, SMALL)
    return Company(tmp_path)


@pytest.fixture
def base_url(company: Company) -> Iterator[str]:
    with serving(app(company.world, company.advance, company.folder, company.edit)) as address:
        yield address


def edit(base_url: str, kind: str, **more: Any) -> None:
    answer = requests.post(f"{base_url}/_sandbox/edit", json={"kind": kind, **more}, timeout=20)
    assert answer.status_code == 201, answer.text


def open_deal(world: World) -> Any:
    return next(d for d in world.crm.deals if d.closed_at is None and d.pipeline == "sales" and d.amount)


def just_now(world: World) -> datetime:
    return world.now - timedelta(seconds=1)


def test_a_changed_record_is_a_change_to_whoever_asks_for_changes(company: Company, base_url: str) -> None:
    world = company.world()
    deal, customer = open_deal(world), world.billing.customers[0]
    edit(base_url, "crm.deals", id=deal.id, set={"amount": "1234.50"})
    edit(base_url, "billing.customers", id=customer.id, set={"name": "Renamed"})
    since = str(int(just_now(world).timestamp() * 1000))
    asked = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": since}
    found = requests.post(
        f"{base_url}/hubspot/crm/v3/objects/deals/search",
        json={"filterGroups": [{"filters": [asked]}], "properties": ["amount"]},
        headers=BEARER["hubspot"],
        timeout=10,
    ).json()["results"]
    assert [(one["id"], one["properties"]["amount"]) for one in found] == [(deal.id, "1234.50")]
    events = requests.get(f"{base_url}/stripe/v1/events", headers=BEARER["stripe"], timeout=10).json()["data"]
    newest = events[0]
    assert newest["type"] == "customer.updated"
    assert (newest["data"]["object"]["id"], newest["data"]["object"]["name"]) == (customer.id, "Renamed")
    chargebee = requests.get(
        f"{base_url}/chargebee/api/v2/customers",
        params={"updated_at[after]": int(just_now(world).timestamp()) - 1},
        auth=("sandbox-chargebee-key", ""),
        timeout=10,
    ).json()["list"]
    assert [(one["customer"]["id"], one["customer"]["company"]) for one in chargebee] == [
        (customer.id, "Renamed")
    ]


def test_a_field_with_a_history_has_the_value_since_then(company: Company, base_url: str) -> None:
    world = company.world()
    deal = next(d for d in world.crm.deals if len(d.history["stage"]) > 2 and d.pipeline == "sales")
    first, second = deal.history["stage"][:2]
    at = second[0] + timedelta(seconds=1)
    edit(base_url, "crm.deals", id=deal.id, at=at.isoformat(), set={"stage": "closedwon"})
    deal = next(found for found in company.world().crm.deals if found.id == deal.id)
    assert deal.history["stage"] == [first, second, (at, "closedwon")]
    assert (deal.stage, deal.closed_at, deal.updated_at) == ("closedwon", at, just_now(world))
    edit(base_url, "crm.deals", id=deal.id, set={"stage": "demo"})
    deal = next(found for found in company.world().crm.deals if found.id == deal.id)
    assert (deal.stage, deal.closed_at) == ("demo", None)


def test_a_new_record_is_dated_and_its_kept_fields_begin(company: Company, base_url: str) -> None:
    at = company.world().now - timedelta(days=50)
    nothing = dict.fromkeys(
        ("domain", "country", "industry", "employee_count", "annual_revenue", "owner_id"), None
    )
    fields = {"id": "987654", "name": "New", "lifecycle_stage": "lead", **nothing}
    edit(base_url, "crm.companies", at=at.isoformat(), create=fields)
    [found] = [known for known in company.world().crm.companies if known.id == "987654"]
    assert (found.created_at, found.updated_at) == (at, just_now(company.world()))
    assert found.history == {"lifecycle_stage": [(at, "lead")], "owner_id": [(at, None)]}
    assert company.world().crm.companies == sorted(
        company.world().crm.companies, key=lambda c: (c.created_at, c.id)
    )
    shown = requests.get(
        f"{base_url}/hubspot/crm/v3/objects/companies/987654", headers=BEARER["hubspot"], timeout=10
    )
    assert shown.json()["properties"]["name"] == "New"


def test_deleted_records_are_in_the_bin_or_gone(company: Company, base_url: str) -> None:
    world = company.world()
    key, line = world.crm.companies[0].id, world.finance.spend[0].id
    url = f"{base_url}/hubspot/crm/v3/objects/companies/{key}"

    def status() -> int:
        return requests.get(url, headers=BEARER["hubspot"], timeout=10).status_code

    edit(base_url, "crm.companies", id=key, delete=True)
    assert status() == 404
    edit(base_url, "crm.companies", id=key, set={"archived_at": None})
    assert status() == 200
    edit(base_url, "finance.spend", id=line, delete=True)
    assert f"{line}," not in (company.folder / "finance" / "spend.csv").read_text()


def test_lists_are_never_those_of_before_an_edit(company: Company, base_url: str) -> None:
    payment = company.world().billing.payments[-1]

    def listed() -> list[str]:
        url = f"{base_url}/stripe/v1/charges?limit=100"
        return [one["id"] for one in requests.get(url, headers=BEARER["stripe"], timeout=10).json()["data"]]

    assert payment.id in listed()
    again = {name: value for name, value in vars(payment).items() if name != "attempted_at"}
    edit(base_url, "billing.payments", id=payment.id, delete=True)
    edit(base_url, "billing.payments", create=again | {"id": "ch_again", "amount": str(payment.amount)})
    assert {payment.id, "ch_again"} & set(listed()) == {"ch_again"}


def test_a_spreadsheet_takes_any_text(company: Company, base_url: str) -> None:
    day, spend = company.world().finance.fx_rates[0], company.world().finance.spend[0]
    edit(base_url, "finance.spend", id=spend.id, set={"amount": "12k"})
    edit(base_url, "finance.fx_rates", id=f"{day.rate_date} {day.currency}", set={"rate": "1.5"})
    assert ",12k," in (company.folder / "finance" / "spend.csv").read_text()
    assert (
        f"{day.rate_date},{day.currency},1.5\n" in (company.folder / "finance" / "fx_rates.csv").read_text()
    )


def test_parts_of_records_are_read_with_their_types(company: Company, base_url: str) -> None:
    found = company.world().billing.subscriptions[0]
    item = found.items[0]
    start = item.valid_from.isoformat()
    given = {"item_id": item.item_id, "price_id": item.price_id, "quantity": 3, "valid_from": start}
    edit(base_url, "billing.subscriptions", id=found.id, set={"items": [given | {"unit_amount": "7.50"}]})
    [now] = next(s for s in company.world().billing.subscriptions if s.id == found.id).items
    assert (now.quantity, now.valid_from, now.unit_amount) == (3, item.valid_from, Decimal("7.50"))
    subscription = requests.get(
        f"{base_url}/chargebee/api/v2/subscriptions/{found.id}",
        auth=("sandbox-chargebee-key", ""),
        timeout=10,
    ).json()["subscription"]
    assert [part["unit_price"] for part in subscription["subscription_items"]] == [750]


def test_edits_outlive_the_server_and_time_and_are_forgotten_with_the_company(
    company: Company, base_url: str
) -> None:
    deal = open_deal(company.world())
    edit(base_url, "crm.deals", id=deal.id, set={"product": "teleporter"})
    edit(base_url, "crm.activities", create=TASK)
    assert Company(company.folder).world() == company.world()

    def product() -> str | None:
        return next(d for d in Company(company.folder).world().crm.deals if d.id == deal.id).product

    advance(company.folder, 20)
    assert product() == "teleporter"
    assert prepare(company.folder, SMALL).edits == read_state(company.folder).edits != ()
    assert prepare(company.folder, State(6, 3, 30)).edits == ()
    write_state(company.folder, SMALL)
    assert product() != "teleporter"


def test_what_the_company_does_later_follows_an_edit(company: Company, base_url: str) -> None:
    whole = State(SMALL.seed, SMALL.months, SMALL.size, days=40).simulate()
    now = company.world().now
    moved = [
        deal
        for deal in whole.crm.deals
        if deal.created_at < now - timedelta(days=1)
        and [since for since, _ in deal.history["stage"] if since > now]
    ]
    assert moved
    deal = moved[0]
    edit(base_url, "crm.deals", id=deal.id, set={"stage": "demo"})
    advance(company.folder, 40)
    later = next(known for known in company.world().crm.deals if known.id == deal.id)
    assert (now - timedelta(seconds=1), "demo") in later.history["stage"]
    assert (later.stage, later.closed_at) == (deal.stage, deal.closed_at)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "not a JSON object"),
        ({"kind": "crm.deals", "id": "1", "delete": True, "often": 1}, "unknown key 'often'"),
        ({"kind": "crm.dreams", "id": "1", "delete": True}, "kind 'crm.dreams' is none of crm.owners"),
        ({"kind": "crm.deals", "id": "1"}, 'one of "create"'),
        ({"kind": "crm.deals", "id": "1", "set": {}, "delete": True}, 'one of "create"'),
        ({"kind": "crm.deals", "id": "1", "delete": False}, 'one of "create"'),
        ({"kind": "crm.deals", "id": "no", "delete": True}, "crm.deals has no record 'no'"),
        ({"kind": "crm.deals", "id": "no", "set": {"price": 1}}, "crm.deals has no record 'no'"),
        (
            {"kind": "crm.deals", "id": "DEAL", "set": {"price": 1}},
            "crm.deals has no field 'price'; it has id",
        ),
        ({"kind": "crm.deals", "id": "DEAL", "set": []}, "expected an object of fields"),
        ({"kind": "crm.deals", "id": "DEAL", "set": {"amount": "lots"}}, "crm.deals: amount: 'lots': "),
        ({"kind": "crm.deals", "id": "DEAL", "set": {"stage": "x"}}, "stage: crm.stages has no record 'x'"),
        ({"kind": "crm.deals", "id": "DEAL", "set": {"contact_ids": ["x"]}}, "has no record 'x'"),
        ({"kind": "email.recipients", "id": "RECIPIENT", "set": {"campaign_id": "x"}}, "has no record 'x'"),
        ({"kind": "crm.deals", "id": "DEAL", "set": {"history": {}}}, "history cannot be set"),
        ({"kind": "crm.deals", "id": "DEAL", "set": {"id": "5"}}, "id cannot be set"),
        (
            {"kind": "crm.deals", "id": "DEAL", "set": {"closed_at": "2025-01-01T00:00:00"}},
            "does not say its time zone",
        ),
        ({"kind": "crm.deals", "id": "DEAL", "set": {}, "at": "soon"}, "at 'soon' is not a time"),
        ({"kind": "crm.deals", "id": "DEAL", "set": {}, "at": "2099-01-01T00:00:00Z"}, "has not come yet"),
        ({"kind": "crm.activities", "create": {"id": "1"}}, "crm.activities: activity_type is missing"),
        ({"kind": "crm.activities", "create": TASK | {"id": "ACTIVITY"}}, "already"),
        (
            {"kind": "billing.invoices", "id": "INVOICE", "set": {"lines": [{"id": "il_1"}]}},
            "billing.invoices: lines: price_id is missing",
        ),
        (
            {"kind": "billing.invoices", "id": "INVOICE", "set": {"lines": [{"price": 1}]}},
            "billing.invoices: lines has no field 'price'",
        ),
        ({"kind": "billing.invoices", "id": "INVOICE", "set": {"lines": "x"}}, "expected a list"),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused_and_changes_nothing(
    company: Company, base_url: str, asked: Any, says: str
) -> None:
    world = company.world()
    known = {
        "DEAL": open_deal(world).id,
        "INVOICE": world.billing.invoices[0].id,
        "ACTIVITY": world.crm.activities[0].id,
        "RECIPIENT": world.email.recipients[0].id,
    }
    text = json.dumps(asked)
    for word, key in known.items():
        text = text.replace(f'"{word}"', f'"{key}"')
    answer = requests.post(f"{base_url}/_sandbox/edit", json=json.loads(text), timeout=20)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert company.world() is world
    assert world == SMALL.simulate()
    assert read_state(company.folder) == SMALL


def test_a_company_without_a_folder_cannot_be_edited() -> None:
    world = World(1, 1, datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC), "USD")
    with serving(app(lambda: world)) as address:
        answer = requests.post(f"{address}/_sandbox/edit", json={}, timeout=5)
        assert (answer.status_code, "no folder" in answer.json()["error"]) == (400, True)


def test_an_edit_of_another_company_is_one_message(company: Company) -> None:
    bad = {"kind": "crm.deals", "id": "no", "set": {}, "entered": "2025-01-31T23:59:59+00:00"}
    write_state(company.folder, State(5, 3, 30, edits=(bad,)))
    with pytest.raises(UserError, match=r"crm\.deals has no record 'no'. Run `revops sandbox reset`"):
        company.world()
