"""The sandbox's Salesforce, as a program other than our connector would find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from serving import serving

from sandbox.api import salesforce as api
from sandbox.api import salesforce_history, salesforce_objects
from sandbox.server import app
from sandbox.state import State
from sandbox.world import World

DATA = "/salesforce/services/data/v62.0"
SECRETS = {"client_id": api.CLIENT_ID, "client_secret": api.CLIENT_SECRET}
Get = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def world() -> World:
    return State(5, 4, 40).simulate()


@pytest.fixture(scope="module")
def base_url(world: World) -> Iterator[str]:
    with serving(app(lambda: world)) as address:
        yield address


@pytest.fixture(scope="module")
def get(base_url: str) -> Get:
    session = log_in(base_url, grant_type="client_credentials").json()["access_token"]

    def ask(path: str, q: str | None = None, size: int | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {session}"}
        if size:
            headers["Sforce-Query-Options"] = f"batchSize={size}"
        url = base_url + (path if path.startswith("/salesforce") else DATA + path)
        return requests.get(url, params={"q": q} if q else None, headers=headers, timeout=5)

    return ask


def log_in(base_url: str, **given: str) -> requests.Response:
    return requests.post(f"{base_url}/salesforce/services/oauth2/token", data=SECRETS | given, timeout=5)


def refusal(answer: requests.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json()[0]["errorCode"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"grant_type": "client_credentials", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_who_may_not_log_in_is_told_why(base_url: str, given: dict[str, str], error: str) -> None:
    answer = log_in(base_url, **given)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_without_a_session_there_is_nothing(base_url: str) -> None:
    assert refusal(requests.get(f"{base_url}{DATA}/query", timeout=5)) == (401, "INVALID_SESSION_ID")


def test_too_many_requests_are_a_403(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "LIMIT", (1, 86_400))
    with serving(app(lambda: world)) as address:
        assert log_in(address, grant_type="client_credentials").status_code == 200
        answer = log_in(address, grant_type="client_credentials")
    assert refusal(answer) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert answer.json()[0]["message"] == "TotalRequests Limit exceeded."
    assert "Retry-After" not in answer.headers


def test_a_list_is_read_by_its_locator(get: Get, world: World) -> None:
    tasks = sorted(a.id for a in world.crm.activities if a.activity_type != "meeting")
    assert len(tasks) > 200
    found: list[str] = []
    body = get("/queryAll", "SELECT Id FROM Task", size=1).json()  # 200 is the least
    assert len(body["records"]) == 200
    assert not body["done"]
    while True:
        found += [record["Id"] for record in body["records"]]
        if body["done"]:
            break
        body = get("/salesforce" + body["nextRecordsUrl"], size=200).json()
    assert sorted(found) == tasks
    assert refusal(get("/query/01gGone-200")) == (400, "INVALID_QUERY_LOCATOR")


def test_only_query_all_shows_the_recycle_bin(get: Get, world: World) -> None:
    asked = "SELECT Id, IsDeleted FROM Opportunity"
    bin_ = {deal.id for deal in world.crm.deals if deal.archived_at}
    shown = {r["Id"] for r in get("/queryAll", asked).json()["records"] if r["IsDeleted"]}
    assert shown == bin_
    assert not {r["Id"] for r in get("/query", asked).json()["records"]} & bin_


def test_conditions_order_and_limit(get: Get, world: World) -> None:
    moments = sorted(company.updated_at for company in world.crm.companies)
    middle = moments[len(moments) // 2].strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = f"SELECT SystemModstamp FROM Account WHERE SystemModstamp >= {middle} AND IsDeleted = false"
    records = get("/queryAll", f"{asked} ORDER BY SystemModstamp DESC LIMIT 3").json()["records"]
    shown = [datetime.fromisoformat(record["SystemModstamp"]) for record in records]
    assert shown == sorted(moments, reverse=True)[:3]


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ("SELECT Shoe FROM Account", "INVALID_FIELD", "No such column 'Shoe' on entity 'Account'"),
        ("SELECT Id FROM Account WHERE Shoe = 1", "INVALID_FIELD", "No such column 'Shoe'"),
        ("SELECT Id FROM Shoe", "INVALID_TYPE", "sObject type 'Shoe' is not supported"),
        ("SELECT FROM Account", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account WHERE CreatedDate > yesterday", "MALFORMED_QUERY", "unexpected token"),
    ],
)
def test_a_query_that_cannot_be_is_refused(get: Get, asked: str, code: str, says: str) -> None:
    answer = get("/queryAll", asked)
    assert refusal(answer) == (400, code)
    assert says in answer.json()[0]["message"]


def test_describe_lists_what_can_be_asked_for(get: Get) -> None:
    for name in salesforce_objects.FIELDS:
        fields = {field["name"] for field in get(f"/sobjects/{name}/describe").json()["fields"]}
        assert "Id" in fields
        assert not any("." in field for field in fields)
    assert refusal(get("/sobjects/Shoe/describe")) == (404, "NOT_FOUND")
    leads = {f["name"]: f for f in get("/sobjects/Lead/describe").json()["fields"]}
    assert leads["MQL_Date__c"]["custom"]


def test_history_is_kept_for_two_years_and_has_owners_twice(world: World) -> None:
    changes = salesforce_history.opportunity_changes(world)
    owners = [change for change in changes if change.field == "Owner"]
    names = {f"{owner.first_name} {owner.last_name}" for owner in world.crm.owners}
    assert len(owners) == 2 * sum(len(deal.history["owner_id"]) - 1 for deal in world.crm.deals)
    assert all((change.new in names) == change.id.endswith("N") for change in owners)
    assert len({change.id for change in changes}) == len(changes)
    later = World(world.seed, world.size, world.start, world.now + timedelta(days=700), "USD", crm=world.crm)
    kept = salesforce_history.opportunity_changes(later)
    assert kept == [change for change in changes if change.at >= later.now - timedelta(days=731)]
    assert 0 < len(kept) < len(changes)
