"""Salesforce when something is wrong: limits, sessions, rights, addresses, answers nobody can use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from crm_world import small_world
from salesforce_org import error
from starlette.responses import Response
from vendor_bench import Bench, served
from vendor_state import assert_same

from ingestion import salesforce
from ingestion.salesforce_tables import OBJECTS, TABLES
from sandbox.api import salesforce as api
from sandbox.api import salesforce_objects as objects
from settings.errors import UserError


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with served("salesforce", small_world, tmp_path) as bench:
        yield bench


@pytest.mark.parametrize(
    "passing", [Response("down", 500), error(400, "QUERY_TIMEOUT")], ids=["500", "QUERY_TIMEOUT"]
)
def test_what_passes_is_tried_again(bench: Bench, passing: Response) -> None:
    bench.served.answers = [("queryAll", passing)] * 2
    assert bench.load().tables["users"].total == 2


def test_an_expired_session_is_renewed_once(bench: Bench) -> None:
    bench.fault("queryAll", "401")
    assert bench.load().tables["users"].total == 2
    assert sum(path.endswith("/token") for path in bench.served.asked) == 2
    bench.fault("queryAll", "401", None)
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
    assert_same(bench)


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
    assert bench.served.asked == [
        "/salesforce/services/oauth2/token",
        f"/salesforce{salesforce.DATA}/query?q=SELECT Id FROM Account LIMIT 1",
    ]


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
