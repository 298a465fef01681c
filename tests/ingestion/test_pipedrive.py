"""The Pipedrive source against the sandbox's Pipedrive API, over real HTTP, into a real warehouse."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
import requests
from hubspot_portal import NOW, day, rows, small_world
from serving import serving
from starlette.responses import JSONResponse

from ingestion import pipedrive
from ingestion.core import load_source
from sandbox.api import pipedrive as api
from sandbox.api import pipedrive_fields as fields
from sandbox.server import app
from sandbox.world import Contact
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

HEADERS = {"x-api-token": api.KEY}
LATER = NOW + timedelta(days=pipedrive.SWEEP_DAYS)
MAY_20 = "2025-05-20T00:00:00Z"


@pytest.fixture
def world():
    return small_world()


@pytest.fixture
def server(sandbox_server, world):
    return sandbox_server(world)


@pytest.fixture
def config(server):
    return SourceConfig(name="pipedrive", silo="crm", type="pipedrive", base_url=f"{server}/pipedrive")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def load(config, home, as_of=NOW):
    return load_source(config, as_of, home)


def loaded(report):
    return {name: table.loaded for name, table in report.tables.items() if table.loaded}


def held(home, query):
    return rows(home.warehouse, query)


def fault(server, path, kind, times=1, **more):
    body = {"path": path, "kind": kind, "times": times, **more}
    requests.post(f"{server}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def call(config, method, path, at=MAY_20, **body):
    url = f"{config.base_url}/api/{path}"
    answer = requests.request(method, url, params={"at": at}, json=body, headers=HEADERS, timeout=5)
    answer.raise_for_status()
    return answer.json()["data"]


def get(config, path, **params):
    return requests.get(f"{config.base_url}/api/{path}", params=params, headers=HEADERS, timeout=5)


def key_of(entity, name):
    return next(f.key for f in fields.FIELDS if (f.entity, f.name) == (entity, name))


def assert_held_as_in(world, home):
    """Live rows of the warehouse are the sandbox's live records, field for field."""
    crm = world.crm
    live = {
        name: [r for r in found if r.archived_at is None]
        for name, found in (("persons", crm.contacts), ("organizations", crm.companies), ("deals", crm.deals))
    }
    assert held(
        home,
        "select id, org_id, owner_id, first_name, emails ->> '$[0].value', lead_source, update_time "
        "from raw_pipedrive.persons where not is_deleted order by id",
    ) == [
        (c.id, c.company_id, c.owner_id, c.first_name, c.email, c.lead_source, c.updated_at)
        for c in sorted(live["persons"], key=lambda c: c.id)
    ]
    assert held(
        home,
        "select id, name, website, annual_revenue::decimal(18, 2), employee_count, owner_id, update_time "
        "from raw_pipedrive.organizations where not is_deleted order by id",
    ) == [
        (c.id, c.name, c.domain, c.annual_revenue, c.employee_count, c.owner_id, c.updated_at)
        for c in sorted(live["organizations"], key=lambda c: c.id)
    ]
    outcomes = {stage.id: stage.outcome for stage in crm.stages}
    assert held(
        home,
        "select id, title, org_id, status, value::decimal(18, 2), currency, product, close_time, update_time "
        "from raw_pipedrive.deals where not is_deleted order by id",
    ) == [
        (
            *(d.id, d.name, d.company_id, outcomes[d.stage], d.amount, d.currency, d.product),
            *(d.closed_at, d.updated_at),
        )
        for d in sorted(live["deals"], key=lambda d: d.id)
    ]
    people = {c.id for c in live["persons"]}
    links = (
        "select deal_id, person_id from raw_pipedrive.deal_participants as links "
        "semi join raw_pipedrive.deals on deals.id = deal_id and not deals.is_deleted "
        "where not links.is_deleted order by all"
    )
    assert held(home, links) == sorted((d.id, p) for d in live["deals"] for p in d.contact_ids if p in people)
    activities = "select id from raw_pipedrive.{} where not is_deleted order by id"
    for table, is_note in (("activities", False), ("notes", True)):
        wanted = [a for a in crm.activities if (a.activity_type == "note") == is_note]
        assert held(home, activities.format(table)) == sorted(
            (a.id,) for a in wanted if a.archived_at is None
        )


def test_first_load_then_a_rerun_loads_nothing(config, home, world, monkeypatch):
    limits, plain = [], pipedrive.limiter
    monkeypatch.setattr(pipedrive, "limiter", lambda limit: limits.append(limit) or plain(limit))
    report = load(config, home)
    assert limits == [(72, 2)]  # of the 80 that the account's plan allows
    assert {name: table.total for name, table in report.tables.items()} == {
        "users": 2,
        "roles": 2,
        "teams": 4,
        "pipelines": 1,
        "stages": 1,
        "organizations": 2,
        "persons": 3,
        "deals": 2,  # the deleted one was forgotten months ago
        "deal_changes": 3,
        "deal_participants": 3,
        "activities": 4,
        "notes": 1,
    }
    assert report.warnings == []
    assert_held_as_in(world, home)
    assert held(
        home, "select lifecycle_stage, became_opportunity from raw_pipedrive.persons where id = '21'"
    ) == [("Opportunity", day(5))]
    changed = "field_key, old_value, new_value, log_time"
    changes = f"select {changed} from raw_pipedrive.deal_changes where deal_id = '31'"
    assert sorted(held(home, changes)) == [
        ("status", "open", "won", day(30) + timedelta(hours=9, minutes=30)),
        ("value", "9000", "12000", day(8)),
    ]
    assert held(home, "select active_flag from raw_pipedrive.users where id = '2'") == [(False,)]
    before = held(home, "select * from raw_pipedrive.deals order by id")
    assert loaded(load(config, home)) == {}
    assert loaded(load(config, home, LATER)) == {}
    assert held(home, "select * from raw_pipedrive.deals order by id") == before


def test_an_edit_loads_that_record_its_changes_and_its_options_label(config, home, world):
    load(config, home)
    forecast = next(f for f in fields.FIELDS if f.attribute == "forecast_category")
    best = fields.option_id(forecast, "best_case")
    call(
        config, "PATCH", "v2/deals/32", status="lost", lost_reason="price", custom_fields={forecast.key: best}
    )
    call(config, "PATCH", "v2/persons/23", custom_fields={key_of("person", "Job title"): "Chief"})
    report = load(config, home)
    assert loaded(report) == {"persons": 1, "deals": 1, "deal_changes": 2}
    found = (
        "select status, lost_reason, forecast_category, lost_time from raw_pipedrive.deals where id = '32'"
    )
    assert held(home, found) == [("lost", "price", "Best case", day(139))]
    changes = (
        "select old_value, new_value from raw_pipedrive.deal_changes where field_key = 'forecast_category'"
    )
    assert held(home, changes) == [("Commit", "Best case")]
    assert_held_as_in(world, home)
    assert loaded(load(config, home)) == {}


def test_a_late_change_inside_the_lag_window_is_seen(config, home, world):
    load(config, home)
    call(config, "PATCH", "v2/organizations/11", at="2025-05-20T12:00:00Z", name="Globex One")
    load(config, home)
    call(config, "PATCH", "v2/organizations/12", at="2025-05-20T11:55:00Z", name="Initech Two")
    assert loaded(load(config, home)) == {"organizations": 1}
    assert_held_as_in(world, home)


def test_deleted_deals_show_at_once_the_rest_in_the_next_sweep(config, home, world):
    load(config, home)
    call(config, "DELETE", "v2/deals/32")
    for path in ("persons/23", "organizations/12", "activities/42"):
        call(config, "DELETE", f"v2/{path}")
    call(config, "DELETE", "v1/notes/45")
    assert loaded(load(config, home)) == {"deals": 1}
    gone = {"deals": "32", "persons": "23", "organizations": "12", "activities": "42", "notes": "45"}
    assert loaded(load(config, home, LATER)) == {table: 1 for table in gone if table != "deals"}
    for table, key in gone.items():
        assert held(home, f"select id from raw_pipedrive.{table} where is_deleted") == [(key,)]
    assert held(home, "select status from raw_pipedrive.deals where id = '32'") == [("deleted",)]
    assert_held_as_in(world, home)
    world.now += timedelta(days=31)
    assert loaded(load(config, home, world.now)) == {}
    world.crm.deals[1].archived_at = None  # taken back out of the bin, in time or not
    assert loaded(load(config, home, world.now + timedelta(days=7)))["deals"] == 1


def test_a_merged_record_is_gone_and_what_was_its_is_the_others(config, home, world):
    load(config, home)
    call(config, "PUT", "v1/organizations/12/merge", merge_with_id=11)
    call(config, "PUT", "v1/persons/22/merge", merge_with_id=23)
    assert loaded(load(config, home)) == {
        "organizations": 1,
        "persons": 1,
        "deals": 2,
        "deal_participants": 4,
    }
    assert loaded(load(config, home, LATER)) == {"organizations": 1, "persons": 1}
    assert held(home, "select id from raw_pipedrive.persons where is_deleted") == [("22",)]
    taken_off = "select deal_id, person_id from raw_pipedrive.deal_participants where is_deleted order by all"
    assert held(home, taken_off) == [("31", "22"), ("32", "22")]
    call(config, "PUT", "v1/deals/32/merge", merge_with_id=31)
    assert loaded(load(config, home, LATER))["deals"] == 1
    assert held(home, "select id from raw_pipedrive.deals where is_deleted") == [("32",)]
    assert_held_as_in(world, home)


def test_a_person_who_left_a_deal_without_a_trace_is_seen_in_the_next_sweep(config, home, world):
    load(config, home)
    world.crm.deals[0].contact_ids = ["21"]
    assert loaded(load(config, home)) == {"deals": 1, "deal_participants": 1}  # in the lag window
    world.crm.deals[1].contact_ids = []
    assert loaded(load(config, home)) == {}
    swept = load(config, home, LATER)
    assert loaded(swept) == {"deals": 1, "deal_participants": 1}
    assert swept.tables["deal_changes"].extracted == 1  # of the one deal that changed
    assert_held_as_in(world, home)


def test_archived_deals_are_deals(config, home, world):
    load(config, home)
    call(config, "PATCH", "v2/deals/31", is_archived=True)
    assert [deal["id"] for deal in get(config, "v2/deals").json()["data"]] == [32]
    assert loaded(load(config, home)) == {"deals": 1}
    assert loaded(load(config, home, LATER)) == {}
    found = "select id, is_archived, is_deleted from raw_pipedrive.deals order by id"
    assert held(home, found) == [("31", True, False), ("32", False, False)]


def test_long_lists_are_followed_to_their_ends(config, home, world, monkeypatch):
    monkeypatch.setattr(pipedrive, "PAGE", 1)
    monkeypatch.setattr(pipedrive, "FLOW_PAGE", 1)
    deal = world.crm.deals[1]
    for number in range(5):
        deal.history["amount"].append((day(9 + number), Decimal(20_000 + number)))
    deal.amount, deal.contact_ids = Decimal(20_004), ["21", "22", "23"]
    load(config, home)
    assert held(home, "select count(*) from raw_pipedrive.deal_changes where deal_id = '32'") == [(6,)]
    assert_held_as_in(world, home)
    for person in world.crm.contacts:
        call(config, "PATCH", f"v2/persons/{person.id}", owner_id=2)
    assert loaded(load(config, home)) == {"persons": 3}
    assert_held_as_in(world, home)


def test_what_changes_while_pages_are_turned_is_not_missed(config, home, world, monkeypatch):
    monkeypatch.setattr(pipedrive, "PAGE", 1)
    plain, turned = api._Crm._page, []

    def page(crm, request, kind, found):
        answer = plain(crm, request, kind, found)
        if kind == "persons" and "cursor" in request.query_params and not turned:
            turned.append(request)
            world.crm.contacts[0].job_title, world.crm.contacts[0].updated_at = "Chief", day(60)
            new = Contact(
                *("24", "12", "new@initech.test", "New", "Comer", None, "1", "lead", "inbound", False),
                *(day(61), day(61)),
            )
            world.crm.contacts.append(new)
        return answer

    monkeypatch.setattr(api._Crm, "_page", page)
    load(config, home)
    assert turned
    assert "24" in {key for (key,) in held(home, "select id from raw_pipedrive.persons")}
    load(config, home)
    assert held(home, "select job_title from raw_pipedrive.persons where id = '21'") == [("Chief",)]
    assert_held_as_in(world, home)


def test_a_renamed_option_and_a_renamed_field(config, home, world, monkeypatch):
    load(config, home)
    sources = next(f for f in fields.FIELDS if (f.entity, f.name) == ("person", "Lead source"))
    monkeypatch.setitem(sources.labels, "inbound", "Website")
    assert loaded(load(config, home)) == {"persons": 3, "deals": 2}
    assert held(home, "select distinct lead_source from raw_pipedrive.persons") == [("Website",)]
    monkeypatch.setattr(fields, "FIELDS", [f for f in fields.FIELDS if f.name not in ("Tax ID", "Industry")])
    [warning] = load(config, home).warnings
    assert "table 'organizations'" in warning
    assert "'Industry', 'Tax ID'" in warning


def test_a_plan_without_teams_has_owners_without_teams(home, monkeypatch):
    async def refused(crm, request):
        raise api._Refused(403, "Scope and URL mismatch")

    monkeypatch.setattr(api._Crm, "teams", refused)
    with serving(app(small_world)) as address:
        base_url = f"{address}/pipedrive"
        report = load(SourceConfig(name="crm", silo="crm", type="pipedrive", base_url=base_url), home)
    assert report.tables["teams"].total == 0
    assert "does not show teams" in report.warnings[0]


def test_an_unpaid_account_is_one_message(config, home, monkeypatch):
    refusal = JSONResponse({"success": False, "error": "Payment required"}, 402)
    monkeypatch.setattr(api, "rate_limited", lambda _seconds: refusal)
    fault(config.base_url.removesuffix("/pipedrive"), "v2/persons", "429")
    with pytest.raises(UserError, match=r"'pipedrive'.*HTTP 402.*subscription"):
        load(config, home)


def test_a_few_faults_are_ridden_out(config, home, server, world):
    fault(server, "v2/persons", "500", 2)
    fault(server, "deals/31/flow", "429", 1)
    started = time.monotonic()
    load(config, home)
    assert time.monotonic() - started >= 1  # Retry-After
    assert_held_as_in(world, home)


def test_a_lasting_fault_is_one_clear_message_and_the_next_load_catches_up(config, home, server, world):
    load(config, home)
    call(config, "PATCH", "v2/organizations/11", name="Globex One")
    call(config, "PATCH", "v2/deals/32", value=500)
    fault(server, "deals/32/flow", "401", 1)
    with pytest.raises(UserError, match="SOURCES__PIPEDRIVE__API_KEY") as told:
        load(config, home)
    assert "deals/32/flow" in str(told.value)
    assert api.KEY not in str(told.value)
    assert held(home, "select name from raw_pipedrive.organizations where id = '11'") == [("Globex",)]
    assert loaded(load(config, home)) == {"organizations": 1, "deals": 1, "deal_changes": 1}
    assert_held_as_in(world, home)


def test_a_new_field_is_kept_and_a_changed_type_refused(config, home, server, world):
    fault(server, "v2/organizations$", "new_field", field="score", times=2)
    report = load(config, home)
    assert any("'organizations': new field(s) 'score'" in warning for warning in report.warnings)
    assert "score" in held(home, "select _extra from raw_pipedrive.organizations")[0][0]
    call(config, "PATCH", "v2/organizations/12", name="Initech Two")
    call(config, "PATCH", "v2/deals/32", value=500)
    fault(server, "v2/deals$", "flip_type", field="value", times=None)
    with pytest.raises(UserError, match=r"'deals', column 'value'.*from decimal to list"):
        load(config, home)
    assert held(home, "select name from raw_pipedrive.organizations where id = '12'") == [("Initech",)]


def test_check_tells_a_wrong_token_and_a_server_that_is_down(config, monkeypatch):
    pipedrive.check(config)
    monkeypatch.setenv("SOURCES__PIPEDRIVE__API_KEY", "wrong")
    with pytest.raises(UserError, match="refused the credentials") as told:
        pipedrive.check(config)
    assert "wrong" not in str(told.value)
    nowhere = config.model_copy(update={"base_url": "http://127.0.0.1:9/pipedrive"})
    with pytest.raises(UserError, match="cannot be reached"):
        pipedrive.check(nowhere)


@pytest.mark.parametrize(
    ("path", "params", "status", "says"),
    [
        ("v2/deals", {"limit": 501}, 400, "limit"),
        ("v2/deals", {"status": "lost,rotten"}, 400, "'rotten'"),
        ("v2/persons", {"sort_by": "name"}, 400, "sort_by"),
        ("v2/persons", {"cursor": "rubbish"}, 400, "cursor"),
        ("v2/persons", {"custom_fields": ",".join("abcdefghijklmnop")}, 400, "15 keys"),
        ("v2/persons", {"updated_since": "soon"}, 400, "updated_since"),
        ("v2/leads", {}, 404, "Unknown method"),
        ("v1/deals/9/flow", {}, 404, "Deal not found"),
    ],
)
def test_a_bad_request_gets_the_vendors_error_body(config, path, params, status, says):
    answer = get(config, path, **params)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert says in answer.json()["error"]


def test_a_deal_counts_its_participants_only_if_asked(config):
    asked = get(config, "v2/deals", include_fields="participants_count").json()["data"]
    plain = get(config, "v2/deals").json()["data"]
    assert [deal.pop("participants_count") for deal in asked] == [2, 1]
    assert asked == plain


def test_only_api_v1_takes_the_token_from_the_query(config):
    token = {"api_token": api.KEY}
    answers = [
        requests.get(f"{config.base_url}/api/{path}", params=token, timeout=5).status_code
        for path in ("v1/users", "v2/deals")
    ]
    assert answers == [200, 401]


def test_the_flow_tells_of_custom_fields_only_if_asked(config):
    plain = get(config, "v1/deals/31/flow").json()["data"]
    every = get(config, "v1/deals/31/flow", all_changes=1).json()["data"]
    assert [entry["data"]["field_key"] for entry in plain] == ["status", "value"]
    assert len(every) >= len(plain)
    assert get(config, "v1/notes", updated_since="2026-01-01T00:00:00Z").json()["data"] is None
