"""HubSpot over real HTTP into a real warehouse: loads, reruns, edits, deletes, later associations, faults."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hubspot_portal import NOW, Portal, day, rows, serving, small_world
from starlette.responses import Response

from ingestion import hubspot
from ingestion.core import LoadReport, load_source
from sandbox.api import hubspot as api
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

HEADERS = {"Authorization": f"Bearer {api.KEY}"}


class Bench:
    """A portal, and the warehouse it is loaded into."""

    def __init__(self, portal: Portal, root: Path) -> None:
        self.portal = portal
        self.home = Home(root)
        self.config = SourceConfig(name="hubspot", silo="crm", type="hubspot", base_url=portal.base_url)

    def load(self) -> LoadReport:
        return load_source(self.config, NOW, self.home)

    def loaded(self) -> dict[str, int]:
        """Rows written by a load, for the tables that got any."""
        tables = self.load().tables.items()
        return {name: t.loaded for name, t in tables if t.loaded and not name.startswith("_")}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.home.warehouse, query)

    def patch(self, path: str, properties: dict[str, Any], at: str = "2025-05-20T00:00:00+00:00") -> None:
        answer = requests.patch(
            f"{self.portal.base_url}/crm/v3/objects/{path}",
            params={"at": at},
            json={"properties": properties},
            headers=HEADERS,
            timeout=5,
        )
        answer.raise_for_status()

    def archive(self, path: str, at: str) -> None:
        url = f"{self.portal.base_url}/crm/v3/objects/{path}"
        requests.delete(url, params={"at": at}, headers=HEADERS, timeout=5).raise_for_status()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(hubspot, "SEARCH_LIMIT", (1000, 1))
    with serving(Portal(small_world())) as portal:
        yield Bench(portal, tmp_path)


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


def test_rerun_without_changes_loads_nothing(bench: Bench) -> None:
    bench.load()
    before = bench.rows("select * from raw_hubspot.deals order by id")

    assert bench.loaded() == {}
    assert bench.rows("select * from raw_hubspot.deals order by id") == before
    assert len(bench.rows("select * from raw_hubspot._dlt_loads")) == 1


def test_edit_loads_that_record_and_its_new_history(bench: Bench) -> None:
    bench.load()
    bench.patch("deals/32", {"dealstage": "closedlost", "closed_lost_reason": "price"})
    bench.patch("contacts/23", {"lifecyclestage": "lead"})

    report = bench.load()

    written = {name: t.loaded for name, t in report.tables.items() if t.loaded}
    assert written == {"contacts": 1, "deals": 1, "deal_history": 1}
    assert report.tables["deals"].extracted == 3  # the change, and the newest live and archived of before
    assert bench.rows("select dealstage, closed_lost_reason from raw_hubspot.deals where id = '32'") == [
        ("closedlost", "price")
    ]
    assert bench.rows(
        "select hs_lifecyclestage_lead_date::text from raw_hubspot.contacts where id = '23'"
    ) == [("2025-05-20 00:00:00+00",)]


def test_late_change_inside_the_lag_window_is_seen(bench: Bench) -> None:
    bench.load()
    bench.patch("companies/11", {"name": "Globex One"}, at="2025-05-20T12:00:00+00:00")
    bench.load()
    bench.patch("companies/12", {"name": "Initech Two"}, at="2025-05-20T11:55:00+00:00")

    assert bench.loaded() == {"companies": 1}
    assert bench.rows("select name from raw_hubspot.companies order by id") == [
        ("Globex One",),
        ("Initech Two",),
    ]


def test_a_merged_record_is_marked_and_what_it_had_belongs_to_the_other(bench: Bench) -> None:
    bench.load()
    answer = requests.post(
        f"{bench.portal.base_url}/crm/v3/objects/contacts/merge",
        json={"primaryObjectId": "21", "objectIdToMerge": "22"},
        headers=HEADERS,
        timeout=5,
    )
    answer.raise_for_status()

    assert bench.loaded()["contacts"] == 2
    contacts = "select id, is_deleted, hs_merged_object_ids from raw_hubspot.contacts order by id"
    assert bench.rows(contacts) == [("21", False, "22"), ("22", True, None), ("23", False, None)]
    deals = "select deal_id, contact_id from raw_hubspot.deal_contacts where not is_deleted order by all"
    assert bench.rows(deals) == [("31", "21"), ("32", "21")]
    assert bench.loaded() == {}


def test_hubspot_counts_its_live_records_itself(bench: Bench) -> None:
    bench.load()
    counted = "select table_name, row_count, created_column from raw_hubspot._counts order by 1"
    assert bench.rows(counted) == [
        (
            kind,
            bench.rows(f"select count(*) from raw_hubspot.{kind} where not is_deleted")[0][0],
            "createdate",
        )
        for kind in ("companies", "contacts", "deals")
    ]


def test_archived_record_is_marked_although_its_modified_date_stays(bench: Bench) -> None:
    bench.load()
    bench.archive("companies/12", at="2025-05-25T08:00:00+00:00")

    assert bench.loaded() == {"companies": 1}
    assert bench.rows(
        "select is_deleted, archived_at::text, hs_lastmodifieddate from raw_hubspot.companies where id = '12'"
    ) == [(True, "2025-05-25 08:00:00+00", day(1))]
    assert bench.loaded() == {}


def test_later_association_and_a_removed_one(bench: Bench) -> None:
    bench.load()
    bench.portal.world.crm.deals[1].contact_ids = ["23"]

    assert bench.loaded() == {"deal_contacts": 2}
    assert bench.rows(
        "select contact_id, is_deleted from raw_hubspot.deal_contacts where deal_id = '32' order by 1"
    ) == [("22", True), ("23", False)]


def test_search_goes_on_past_its_page(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.load()
    monkeypatch.setattr(hubspot, "SEARCH_PAGE", 1)
    for key in ("21", "22", "23"):
        bench.patch(f"contacts/{key}", {"jobtitle": f"Chief {key}"})

    assert bench.loaded() == {"contacts": 3}
    assert len(bench.rows("select * from raw_hubspot.contacts where jobtitle like 'Chief%'")) == 3


def test_rate_limit_waits_as_long_as_told(bench: Bench) -> None:
    bench.portal.faults = [("/objects/deals", api.rate_limited(1))]

    started = time.monotonic()
    report = bench.load()

    assert time.monotonic() - started >= 1
    assert report.tables["deals"].total == 3


def test_a_server_error_that_passes_is_retried(bench: Bench) -> None:
    bench.portal.faults = [("/crm/v3/owners", Response("oops", 500))] * 2

    assert bench.load().tables["owners"].total == 2


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
    bench.portal.faults = [("/objects/deals", fault()) for _ in range(times)]

    with pytest.raises(UserError, match=f"hubspot.*/crm/v3/objects/deals.*{message}") as caught:
        bench.load()

    assert api.KEY not in str(caught.value)


def test_failed_load_leaves_the_warehouse_as_it_was_and_the_next_one_catches_up(bench: Bench) -> None:
    bench.load()
    bench.patch("companies/11", {"name": "Globex One"})
    bench.patch("deals/32", {"amount": "500"})
    bench.portal.faults = [("/objects/deals", Response("{", 200))]

    with pytest.raises(UserError, match=r"not valid JSON"):
        bench.load()

    assert bench.rows("select name from raw_hubspot.companies where id = '11'") == [("Globex",)]
    assert bench.loaded() == {"companies": 1, "deals": 1, "deal_history": 1}


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
    bench.patch("companies/12", {"name": "Initech Two"})
    bench.portal.world.crm.deals[1].amount = "a lot"
    bench.portal.world.crm.deals[1].updated_at = day(100)

    with pytest.raises(UserError, match=r"'deals', column 'amount'.*from decimal to text"):
        bench.load()
    assert bench.rows("select name from raw_hubspot.companies where id = '12'") == [("Initech",)]


def test_search_refuses_pages_past_ten_thousand(bench: Bench) -> None:
    answer = requests.post(
        f"{bench.portal.base_url}/crm/v3/objects/deals/search",
        json={"limit": 200, "after": "9900"},
        headers=HEADERS,
        timeout=5,
    )
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_list_with_history_is_limited_to_fifty(bench: Bench) -> None:
    url = f"{bench.portal.base_url}/crm/v3/objects/deals"
    params = {"limit": "51", "propertiesWithHistory": "amount"}
    assert requests.get(url, params=params, headers=HEADERS, timeout=5).status_code == 400
