"""HubSpot over real HTTP into a real warehouse: loads, reruns, edits, deletes, later associations, faults."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crm_world import day, small_world
from starlette.responses import Response
from vendor_bench import Bench, build_staging, served, staging, written

from ingestion import hubspot
from sandbox.api import hubspot as api
from settings.config import SourceConfig
from settings.errors import UserError


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(hubspot, "SEARCH_LIMIT", (1000, 1))
    with served("hubspot", small_world, tmp_path) as bench:
        yield bench


def test_first_load_types_links_and_history(bench: Bench) -> None:
    report = bench.load()

    assert {name: t.total for name, t in report.tables.items()} == {
        "_counts": 3,
        "owners": 2,
        "stages": 3,
        "companies": 2,
        "contacts": 3,
        "deals": 3,
        "deal_history": 19,
        "activities": 5,
        "deal_contacts": 3,
        "deal_companies": 2,
        "contact_companies": 2,
    }
    assert bench.rows(
        "select annualrevenue::text, numberofemployees, createdate from raw_hubspot.companies where id = '11'"
    ) == [("1500000.500000000", 40, day(1))]
    assert bench.rows("select id, is_deleted, archived_at from raw_hubspot.deals where is_deleted") == [
        ("33", True, day(40))
    ]
    assert bench.rows(
        "select value, changed_at from raw_hubspot.deal_history "
        "where deal_id = '31' and property = 'dealstage' order by changed_at"
    ) == [("qualified", day(5)), ("closedwon", day(30 + 9.5 / 24))]
    assert bench.rows(
        "select activity_type, contact_ids ->> 0, deal_ids ->> 0 from raw_hubspot.activities where id = '42'"
    ) == [("call", "21", "31")]
    assert bench.rows(
        "select contact_id from raw_hubspot.deal_contacts "
        "where deal_id = '31' and association_types::text like '%Primary contact%'"
    ) == [("21",)]
    assert bench.rows("select distinct is_archived from raw_hubspot.owners where id = '2'") == [(True,)]


def test_edit_loads_that_record_and_its_new_history(bench: Bench) -> None:
    bench.load()
    bench.send(
        "PATCH", "v3/objects/deals/32", properties={"dealstage": "closedlost", "closed_lost_reason": "price"}
    )
    bench.send("PATCH", "v3/objects/contacts/23", properties={"lifecyclestage": "lead"})

    report = bench.load()

    assert written(report) == {"contacts": 1, "deals": 1, "deal_history": 1}
    assert report.tables["deals"].extracted == 3  # the change, and the newest live and archived of before
    assert bench.rows("select dealstage, closed_lost_reason from raw_hubspot.deals where id = '32'") == [
        ("closedlost", "price")
    ]
    assert bench.rows(
        "select hs_lifecyclestage_lead_date::text from raw_hubspot.contacts where id = '23'"
    ) == [("2025-05-20 00:00:00+00",)]


def test_a_merged_record_is_marked_and_what_it_had_belongs_to_the_other(bench: Bench) -> None:
    bench.load()
    bench.send("POST", "v3/objects/contacts/merge", primaryObjectId="21", objectIdToMerge="22")

    assert bench.loaded()["contacts"] == 2
    contacts = "select id, is_deleted, hs_merged_object_ids from raw_hubspot.contacts order by id"
    assert bench.rows(contacts) == [("21", False, "22"), ("22", True, None), ("23", False, None)]
    deals = "select deal_id, contact_id from raw_hubspot.deal_contacts where not is_deleted order by all"
    assert bench.rows(deals) == [("31", "21"), ("32", "21")]
    assert bench.loaded() == {}


def test_a_company_merged_before_the_first_load_is_still_known_by_its_id(bench: Bench) -> None:
    bench.send("POST", "v3/objects/companies/merge", primaryObjectId="11", objectIdToMerge="12")
    bench.load()

    assert bench.rows("select id from raw_hubspot.companies") == [("11",)]
    build_staging(bench.home, "hubspot", "hubspot", bench.world.now)
    accounts = staging(bench.home, "hubspot")(
        "accounts", "account_id, merged_into_id, is_deleted, loaded_at is not null"
    )
    assert accounts == [("11", None, False, True), ("12", "11", True, True)]


def test_archived_record_is_marked_although_its_modified_date_stays(bench: Bench) -> None:
    bench.load()
    bench.send("DELETE", "v3/objects/companies/12", "2025-05-25T08:00:00+00:00")

    assert bench.loaded() == {"companies": 1}
    assert bench.rows(
        "select is_deleted, archived_at::text, hs_lastmodifieddate from raw_hubspot.companies where id = '12'"
    ) == [(True, "2025-05-25 08:00:00+00", day(1))]
    assert bench.loaded() == {}


def test_later_association_and_a_removed_one(bench: Bench) -> None:
    bench.load()
    bench.world.crm.deals[1].contact_ids = ["23"]

    assert bench.loaded() == {"deal_contacts": 2}
    assert bench.rows(
        "select contact_id, is_deleted from raw_hubspot.deal_contacts where deal_id = '32' order by 1"
    ) == [("22", True), ("23", False)]


def test_search_goes_on_past_its_page(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.load()
    monkeypatch.setattr(hubspot, "SEARCH_PAGE", 1)
    for key in ("21", "22", "23"):
        bench.send("PATCH", f"v3/objects/contacts/{key}", properties={"jobtitle": f"Chief {key}"})

    assert bench.loaded() == {"contacts": 3}
    assert len(bench.rows("select * from raw_hubspot.contacts where jobtitle like 'Chief%'")) == 3


FAULTS = [
    (lambda: Response("{}", 401), 1, "HTTP 401.*SOURCES__HUBSPOT__API_KEY"),
    (lambda: Response("{}", 403), 1, "HTTP 403.*scope"),
    (lambda: Response("{}", 404), 1, "HTTP 404.*base_url"),
    (lambda: Response("down", 503), 5, "HTTP 503.*run again later"),
    (lambda: Response('{"results": [{"id"', 200, media_type="application/json"), 1, "not valid JSON"),
    (lambda: Response('{"pages": []}', 200, media_type="application/json"), 1, "has no 'results'"),
]


@pytest.mark.parametrize(("fault", "times", "message"), FAULTS)
def test_fault_is_one_message(bench: Bench, fault: Any, times: int, message: str) -> None:
    bench.served.answers = [("/objects/deals", fault()) for _ in range(times)]

    with pytest.raises(UserError, match=f"hubspot.*/crm/v3/objects/deals.*{message}") as caught:
        bench.load()

    assert api.KEY not in str(caught.value)


def test_dead_port_fails_in_seconds_and_names_the_address(bench: Bench) -> None:
    bench.config = SourceConfig(
        name="hubspot", silo="crm", type="hubspot", base_url="http://127.0.0.1:9/hubspot"
    )

    started = time.monotonic()
    with pytest.raises(UserError, match=r"'hubspot'.*http://127.0.0.1:9 cannot be reached"):
        bench.load()
    assert time.monotonic() - started < 15


def test_wrong_key_is_refused_and_not_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__HUBSPOT__API_KEY", "pat-not-the-one")
    with pytest.raises(UserError, match=r"HTTP 401") as caught:
        hubspot.check(bench.config)
    with pytest.raises(UserError, match=r"HTTP 401"):
        bench.load()
    assert "pat-not-the-one" not in str(caught.value)


def test_missing_secret_names_the_variable(bench: Bench) -> None:
    bench.config = SourceConfig(name="hubspot", silo="crm", type="hubspot")
    with pytest.raises(UserError, match="SOURCES__HUBSPOT__API_KEY"):
        bench.load()


def test_type_flip_names_table_column_and_types(bench: Bench) -> None:
    bench.load()
    bench.send("PATCH", "v3/objects/companies/12", properties={"name": "Initech Two"})
    bench.world.crm.deals[1].amount = "a lot"
    bench.world.crm.deals[1].updated_at = day(100)

    with pytest.raises(UserError, match=r"'deals', column 'amount'.*from decimal to text"):
        bench.load()
    assert bench.rows("select name from raw_hubspot.companies where id = '12'") == [("Initech Two",)]


def test_history_of_another_shape_is_one_message(bench: Bench) -> None:
    bench.fault("objects/deals", "flip_type", None, field="amount")
    with pytest.raises(
        UserError, match=r"'hubspot', table 'deal_history', property 'amount': the type changed"
    ):
        bench.load()


def test_search_refuses_pages_past_ten_thousand(bench: Bench) -> None:
    body = {"limit": 200, "after": "9900"}
    answer = bench.request("POST", "v3/objects/deals/search", json=body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_list_with_history_is_limited_to_fifty(bench: Bench) -> None:
    params = {"limit": "51", "propertiesWithHistory": "amount"}
    assert bench.get("v3/objects/deals", **params).status_code == 400
