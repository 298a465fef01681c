"""Salesforce over real HTTP into a real warehouse: loads, reruns, edits, deletes, merges, sweeps, faults."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from hubspot_portal import NOW, _deal, day, rows, small_world
from salesforce_org import Replaced, error  # type: ignore[import-not-found]
from serving import serving
from starlette.responses import Response

from ingestion import salesforce, salesforce_session
from ingestion.arrow import to_arrow
from ingestion.core import LoadReport, load_source
from ingestion.salesforce_tables import OBJECTS, TABLES, column
from sandbox.api import salesforce as api
from sandbox.api import salesforce_objects as objects
from sandbox.server import app
from sandbox.world import World
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

HEADERS = {"Authorization": f"Bearer {api.SESSION}"}
DATA = "services/data/v62.0"


class Bench:
    """An organisation, and the warehouse it is loaded into."""

    def __init__(self, root: Path, address: str, world: World, served: Replaced, first: Path | None) -> None:
        self.home, self.address, self.world, self.served, self.first = (
            Home(root),
            address,
            world,
            served,
            first,
        )
        self.config = SourceConfig(
            name="salesforce", silo="crm", type="salesforce", base_url=f"{address}/salesforce"
        )

    def begin(self) -> None:
        """The warehouse as a first load leaves it."""
        assert self.first is not None
        shutil.copy(self.first, self.home.warehouse)

    def load(self, as_of: datetime = NOW) -> LoadReport:
        return load_source(self.config, as_of, self.home)

    def loaded(self, as_of: datetime = NOW) -> dict[str, int]:
        """Rows written by a load, for the tables that got any."""
        return {name: t.loaded for name, t in self.load(as_of).tables.items() if t.loaded}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.home.warehouse, query)

    def send(self, method: str, path: str, at: str = "2025-05-20T00:00:00+00:00", **fields: Any) -> None:
        requests.request(
            method,
            f"{self.config.base_url}/{DATA}/sobjects/{path}",
            params={"at": at},
            json=fields,
            headers=HEADERS,
            timeout=5,
        ).raise_for_status()

    def fault(self, kind: str, path: str = "queryAll", times: int | None = 1, **more: Any) -> None:
        body = {"path": path, "kind": kind, "times": times, **more}
        requests.post(f"{self.address}/_sandbox/faults", json=body, timeout=5).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.address}/_sandbox/faults", timeout=5).raise_for_status()

    def assert_same(self, purged: frozenset[str] = frozenset()) -> None:
        """Every table holds, row for row, what the organisation has."""
        view = objects.View(self.world)
        for name, spec in TABLES.items():
            its = OBJECTS[name]
            relations = {field.split(".")[0] for field in its.fields if "." in field}
            fields = [f for f in its.fields if f in objects.FIELDS[its.name]]
            shown = [objects.shown(view, its.name, r, fields) for r in objects.records(view, its.name)]
            wanted = to_arrow(name, spec.columns, [salesforce._row(record, relations) for record in shown])
            listed = ", ".join(f'"{c}"' for c in spec.columns)
            held = self.rows(f"select {listed} from raw_salesforce.{name}")
            expected = [tuple(row[c] for c in spec.columns) for row in wanted.to_pylist()]
            key = list(spec.columns).index("id")
            held = [row for row in held if row[key] not in purged]
            assert sorted(held, key=repr) == sorted(expected, key=repr), name


@contextlib.contextmanager
def served_bench(root: Path, first: Path | None = None) -> Iterator[Bench]:
    world = small_world()
    served = Replaced(app(lambda: world))
    with serving(served) as address:
        yield Bench(root, address, world, served, first)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with the small world in it: what most tests begin with."""
    with served_bench(tmp_path_factory.mktemp("first")) as bench:
        bench.load()
        return bench.home.warehouse


@pytest.fixture
def bench(tmp_path: Path, first: Path) -> Iterator[Bench]:
    with served_bench(tmp_path, first) as bench:
        yield bench


def test_first_load_is_the_whole_organisation_typed(bench: Bench) -> None:
    report = bench.load()

    assert {name: t.total for name, t in report.tables.items()} == {
        "users": 2,
        "record_types": 1,
        "opportunity_stages": 3,
        "accounts": 2,
        "contacts": 3,
        "leads": 2,
        "lead_history": 6,
        "opportunities": 3,
        "opportunity_contact_roles": 3,
        "opportunity_field_history": 4,
        "tasks": 4,
        "events": 1,
        "campaigns": 0,
        "campaign_members": 0,
    }
    assert report.warnings == []
    assert bench.rows(
        "select annual_revenue::text, number_of_employees, created_date, website "
        "from raw_salesforce.accounts where id = '11'"
    ) == [("1500000.500000000", 40, day(1), "https://www.globex.test/")]
    assert bench.rows("select id, system_modstamp from raw_salesforce.opportunities where is_deleted") == [
        ("33", day(40))
    ]
    assert bench.rows(
        "select old_value, new_value, created_date from raw_salesforce.opportunity_field_history "
        "where opportunity_id = '31' and field = 'StageName'"
    ) == [("qualified", "closedwon", day(30 + 9.5 / 24))]
    assert bench.rows(
        "select who_id, who_type, what_type, task_subtype from raw_salesforce.tasks where id = '42'"
    ) == [("21", "Contact", "Opportunity", "Call")]
    assert bench.rows("select user_role_name, is_active from raw_salesforce.users where id = '2'") == [
        ("sdr", False)
    ]
    bench.assert_same()


def test_rerun_without_changes_loads_nothing(bench: Bench) -> None:
    bench.begin()
    before = bench.rows("select * from raw_salesforce.opportunities order by id")

    assert bench.loaded() == {}
    assert bench.rows("select * from raw_salesforce.opportunities order by id") == before
    assert len(bench.rows("select * from raw_salesforce._dlt_loads")) == 1


def test_edit_loads_that_record_and_its_history_only(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Opportunity/32", StageName="closedlost", Loss_Reason__c="price")
    bench.send("PATCH", "Opportunity/31", OwnerId="2")

    report = bench.load()

    written = {name: t.loaded for name, t in report.tables.items() if t.loaded}
    assert written == {"opportunities": 2, "opportunity_field_history": 3}  # two of them for the owner
    assert report.tables["accounts"].extracted == 2  # the newest of before, again
    assert bench.rows(
        "select stage_name, is_closed, is_won, loss_reason_c from raw_salesforce.opportunities "
        "where id = '32'"
    ) == [("closedlost", True, False, "price")]
    assert bench.rows(
        "select old_value, new_value from raw_salesforce.opportunity_field_history where field = 'Owner' "
        "order by new_value"
    ) == [("1", "2"), ("Ann Ode", "Bob Roe")]
    bench.assert_same()


def test_late_commit_inside_the_lag_window_is_seen(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Account/11", at="2025-05-20T12:00:00+00:00", Industry="Retail")
    bench.load()
    bench.send("PATCH", "Account/12", at="2025-05-20T11:55:00+00:00", Industry="Retail")

    assert bench.loaded() == {"accounts": 1}
    bench.assert_same()


def test_deleted_record_is_marked(bench: Bench) -> None:
    bench.begin()
    bench.send("DELETE", "Account/12", at="2025-05-25T08:00:00+00:00")

    assert bench.loaded() == {"accounts": 1}
    assert bench.rows("select is_deleted, name from raw_salesforce.accounts where id = '12'") == [
        (True, "Initech")
    ]
    assert bench.loaded() == {}
    bench.assert_same()


def test_merged_contact_is_deleted_and_names_its_master(bench: Bench) -> None:
    bench.begin()
    loser = bench.world.crm.contacts[1]
    loser.merged_into, loser.archived_at = "21", day(100)

    assert bench.loaded() == {"contacts": 1, "leads": 1, "lead_history": 2, "opportunity_contact_roles": 2}
    assert bench.rows("select is_deleted, master_record_id from raw_salesforce.contacts where id = '22'") == [
        (True, "21")
    ]


def test_contact_roles_come_and_go(bench: Bench) -> None:
    bench.begin()
    bench.send("DELETE", "OpportunityContactRole/00K32C22", at="2025-05-21T00:00:00+00:00")
    bench.send("POST", "OpportunityContactRole", OpportunityId="32", ContactId="23")

    assert bench.loaded() == {"opportunity_contact_roles": 2}
    assert bench.rows(
        "select contact_id, is_deleted from raw_salesforce.opportunity_contact_roles "
        "where opportunity_id = '32' order by 1"
    ) == [("22", True), ("23", False)]


def test_purged_record_is_found_by_the_sweep(bench: Bench) -> None:
    bench.begin()
    del bench.world.crm.companies[1]

    assert bench.loaded(NOW + timedelta(days=13)) == {}
    assert bench.loaded(NOW + timedelta(days=14)) == {"accounts": 1}
    assert bench.rows("select id, is_deleted from raw_salesforce.accounts order by id") == [
        ("11", False),
        ("12", True),
    ]
    assert bench.loaded(NOW + timedelta(days=15)) == {}
    bench.assert_same(purged=frozenset({"12"}))


def test_locators_are_followed_to_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    small_batches(monkeypatch)
    assert bench.load().tables["opportunity_field_history"].total == 4
    assert sum("/query/01g" in path for path in bench.served.asked) > 10
    bench.assert_same()


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BATCH", (1, 2000))
    monkeypatch.setattr(salesforce_session, "BATCH_SIZE", 1)


def test_what_appears_while_a_list_is_read_is_loaded_next_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    real = objects.shown

    def shown(view: Any, name: str, record: Any, fields: list[str]) -> dict[str, Any]:
        body = real(view, name, record, fields)
        if name == "Opportunity" and len(fields) > 2 and len(bench.world.crm.deals) == 3:
            born = _deal("34", ["21"], "qualified")
            born.created_at = born.updated_at = day(60)
            bench.world.crm.deals.append(born)
            bench.world.crm.deals[2].updated_at = day(61)  # still to be read: the cursor must not follow it
        return body

    monkeypatch.setattr(objects, "shown", shown)
    assert bench.load().tables["opportunities"].total == 3
    bench.load()
    bench.assert_same()


def test_type_flip_names_table_column_and_types(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Opportunity/32", Name="Other")
    bench.fault("flip_type", field="Amount", times=None)
    with pytest.raises(UserError, match=r"'opportunities', column 'amount'.*from decimal to list"):
        bench.load()
    bench.clear_faults()
    assert bench.rows("select name from raw_salesforce.opportunities where id = '32'") == [("Deal 32",)]
    assert bench.loaded() == {"opportunities": 1}


def test_new_field_is_announced_and_kept(bench: Bench) -> None:
    bench.fault("new_field", field="Score", times=None)
    warnings = bench.load().warnings
    assert any("'accounts': new field(s) 'score'" in warning for warning in warnings)
    assert bench.rows("select distinct _extra::text from raw_salesforce.accounts") == [('{"score":"new"}',)]


def test_too_many_at_once_is_waited_for(bench: Bench) -> None:
    bench.fault("429", times=2)
    assert bench.load().tables["opportunities"].total == 3
    bench.assert_same()


@pytest.mark.parametrize(
    "passing", [Response("down", 500), error(400, "QUERY_TIMEOUT")], ids=["500", "QUERY_TIMEOUT"]
)
def test_what_passes_is_tried_again(bench: Bench, passing: Response) -> None:
    bench.served.answers = [("queryAll", passing)] * 2
    assert bench.load().tables["users"].total == 2


def test_an_expired_session_is_renewed_once(bench: Bench) -> None:
    bench.fault("401", times=1)
    assert bench.load().tables["users"].total == 2
    assert sum(path.endswith("/token") for path in bench.served.asked) == 2
    bench.fault("401", times=None)
    with pytest.raises(UserError, match=r"refused a new session too \(HTTP 401 INVALID_SESSION_ID"):
        bench.load()


DAILY = error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
NO_FIELD = error(400, "INVALID_FIELD", "\nSELECT X\n^\nERROR at Row:1\nNo such column 'X' on entity 'User'.")
FAULTS: list[tuple[str, Response, str]] = [
    ("queryAll", DAILY, "used up its API requests of 24 hours.*run again later"),
    ("queryAll", NO_FIELD, r"INVALID_FIELD: No such column 'X' on entity 'User'\. Give the user read access"),
    ("queryAll", error(400, "INVALID_TYPE", "no"), "INVALID_TYPE: no. Give the user read access"),
    ("queryAll", error(400, "INVALID_QUERY_LOCATOR"), "INVALID_QUERY_LOCATOR.*run again"),
    ("queryAll", error(403, "API_DISABLED_FOR_ORG"), "API_DISABLED_FOR_ORG.*edition with API access"),
    ("describe", error(403, "FORBIDDEN"), r"HTTP 403\)"),
    ("queryAll", Response('{"records": [{"Id"', 200, media_type="application/json"), "not valid JSON"),
    ("queryAll", Response("{}", 200, media_type="application/json"), "has no 'records'"),
    ("queryAll", Response('{"records": [], "done": false}', 200), "not done and has no 'nextRecordsUrl'"),
    ("token", Response("{}", 200, media_type="application/json"), "has no 'access_token'"),
    ("Account/describe", error(404, "NOT_FOUND"), "table 'accounts': Salesforce has no object Account"),
]


@pytest.mark.parametrize(("path", "fault", "message"), FAULTS, ids=[f[2][:24] for f in FAULTS])
def test_fault_is_one_message(bench: Bench, path: str, fault: Response, message: str) -> None:
    bench.served.answers = [(path, fault)]
    with pytest.raises(UserError, match=f"source 'salesforce'.*{message}") as caught:
        bench.load()
    assert api.CLIENT_SECRET not in str(caught.value)
    assert not any(name in str(caught.value) for name in ("Traceback", api.SESSION))


def test_failed_load_leaves_the_warehouse_as_it_was_and_the_next_one_catches_up(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Account/11", Industry="Retail")
    bench.send("PATCH", "Opportunity/32", Amount=500)
    bench.served.answers = [("Opportunity/describe", Response("{", 200))]
    with pytest.raises(UserError, match="not valid JSON"):
        bench.load()
    assert bench.rows("select industry from raw_salesforce.accounts where id = '11'") == [(None,)]
    assert bench.loaded() == {"accounts": 1, "opportunities": 1, "opportunity_field_history": 1}
    bench.assert_same()


def test_fields_an_organisation_lacks_are_null(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, its in OBJECTS.items():
        for field in its.optional & objects.FIELDS[its.name].keys():
            monkeypatch.delitem(objects.FIELDS[its.name], field)
            monkeypatch.delitem(objects.FIELDS[its.name], f"{field.split('.')[0]}Id", raising=False)
        assert name in TABLES
    assert bench.load().tables["opportunities"].total == 3
    assert bench.rows("select distinct currency_iso_code, product_c from raw_salesforce.opportunities") == [
        (None, None)
    ]
    bench.assert_same()


def test_a_standard_field_that_is_hidden_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(objects.FIELDS["Opportunity"], "Amount")
    hidden = (
        "'opportunities': Salesforce does not show the user Opportunity.Amount. Give the user's permission"
    )
    with pytest.raises(UserError, match=hidden):
        bench.load()


def test_an_object_that_can_be_done_without_is_warned_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(objects.FIELDS, "Campaign")
    report = bench.load()
    assert report.tables["campaigns"].total == 0
    assert [w for w in report.warnings if "Campaign" in w] == [
        "source 'salesforce', table 'campaigns': Salesforce has no object Campaign, or does not show it to "
        "the user. Give the user's permission set read access to it. Without it the table gets no rows"
    ]


def test_dead_port_fails_in_seconds_and_names_the_address(bench: Bench) -> None:
    bench.config = bench.config.model_copy(update={"base_url": "http://127.0.0.1:9/salesforce"})
    started = time.monotonic()
    with pytest.raises(UserError, match=r"'salesforce'.*http://127.0.0.1:9 cannot be reached"):
        bench.load()
    assert time.monotonic() - started < 15


def test_wrong_secret_is_refused_and_not_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__SALESFORCE__CLIENT_SECRET", "not-the-one")
    for attempt in (lambda: salesforce.check(bench.config), bench.load):
        with pytest.raises(UserError, match=r"invalid_client.*SOURCES__SALESFORCE__CLIENT_SECRET") as caught:
            attempt()
        assert "not-the-one" not in str(caught.value)


def test_a_refresh_token_logs_in_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__SALESFORCE__REFRESH_TOKEN", api.REFRESH_TOKEN)
    salesforce.check(bench.config)
    monkeypatch.setenv("SOURCES__SALESFORCE__REFRESH_TOKEN", "an-old-one")
    with pytest.raises(UserError, match=r"invalid_grant.*SOURCES__SALESFORCE__REFRESH_TOKEN"):
        salesforce.check(bench.config)


def test_the_check_asks_once_for_little(bench: Bench) -> None:
    salesforce.check(bench.config)
    assert bench.served.asked == ["/salesforce/services/oauth2/token", f"/salesforce/{DATA}/query"]


@pytest.mark.parametrize(
    ("base_url", "says"),
    [
        (None, "has no base_url"),
        ("https://login.salesforce.com", "is a page's address"),
        ("https://example.lightning.force.com", "is a page's address"),
    ],
)
def test_an_address_that_is_no_my_domain_is_one_message(
    bench: Bench, base_url: str | None, says: str
) -> None:
    bench.config = bench.config.model_copy(update={"base_url": base_url})
    with pytest.raises(UserError, match=f"'salesforce'.*{says}.*my.salesforce.com"):
        bench.load()


def test_missing_secret_names_the_variable(bench: Bench) -> None:
    bench.config = bench.config.model_copy(update={"base_url": "https://example.my.salesforce.com"})
    with pytest.raises(UserError, match="SOURCES__SALESFORCE__CLIENT_ID"):
        bench.load()


def test_columns_are_the_field_names_in_snake_case() -> None:
    assert [column(name) for name in ("AccountId", "MQL_Date__c", "Who.Type")] == [
        *("account_id", "mql_date_c", "who_type")
    ]
