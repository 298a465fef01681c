"""The Pipedrive source against the sandbox's Pipedrive API, over real HTTP, into a real warehouse."""

from datetime import timedelta
from decimal import Decimal

import pytest
import requests
from crm_world import NOW, day, small_world
from starlette.responses import JSONResponse
from vendor_bench import served, written
from vendor_state import assert_same

from ingestion import pipedrive
from sandbox.api import pipedrive as api
from sandbox.api import pipedrive_fields as fields
from settings.errors import UserError

LATER = NOW + timedelta(days=pipedrive.SWEEP_DAYS)


@pytest.fixture
def bench(tmp_path):
    with served("pipedrive", small_world, tmp_path) as bench:
        yield bench


def key_of(entity, name):
    return next(f.key for f in fields.FIELDS if (f.entity, f.name) == (entity, name))


def test_first_load_then_a_rerun_loads_nothing(bench, monkeypatch):
    limits, plain = [], pipedrive.limiter
    monkeypatch.setattr(pipedrive, "limiter", lambda limit: limits.append(limit) or plain(limit))
    report = bench.load()
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
        "_counts": 1,
    }
    assert report.warnings == []
    assert_same(bench)
    assert bench.rows(
        "select lifecycle_stage, became_opportunity from raw_pipedrive.persons where id = '21'"
    ) == [("Opportunity", day(5))]
    changed = "field_key, old_value, new_value, log_time"
    changes = f"select {changed} from raw_pipedrive.deal_changes where deal_id = '31'"
    assert sorted(bench.rows(changes)) == [
        ("status", "open", "won", day(30) + timedelta(hours=9, minutes=30)),
        ("value", "9000", "12000", day(8)),
    ]
    assert bench.rows("select active_flag from raw_pipedrive.users where id = '2'") == [(False,)]
    before = bench.rows("select * from raw_pipedrive.deals order by id")
    assert bench.loaded() == {}
    assert bench.loaded(LATER) == {}
    assert bench.rows("select * from raw_pipedrive.deals order by id") == before


def test_an_edit_loads_that_record_its_changes_and_its_options_label(bench):
    bench.load()
    forecast = next(f for f in fields.FIELDS if f.attribute == "forecast_category")
    best = fields.option_id(forecast, "best_case")
    bench.send("PATCH", "v2/deals/32", status="lost", lost_reason="price", custom_fields={forecast.key: best})
    bench.send("PATCH", "v2/persons/23", custom_fields={key_of("person", "Job title"): "Chief"})
    report = bench.load()
    assert written(report) == {"persons": 1, "deals": 1, "deal_changes": 2}
    found = (
        "select status, lost_reason, forecast_category, lost_time from raw_pipedrive.deals where id = '32'"
    )
    assert bench.rows(found) == [("lost", "price", "Best case", day(139))]
    changes = (
        "select old_value, new_value from raw_pipedrive.deal_changes where field_key = 'forecast_category'"
    )
    assert bench.rows(changes) == [("Commit", "Best case")]
    assert_same(bench)
    assert bench.loaded() == {}


def test_deleted_deals_show_at_once_the_rest_in_the_next_sweep(bench):
    bench.load()
    bench.send("DELETE", "v2/deals/32")
    for path in ("persons/23", "organizations/12", "activities/42"):
        bench.send("DELETE", f"v2/{path}")
    bench.send("DELETE", "v1/notes/45")
    assert bench.loaded() == {"deals": 1}
    gone = {"deals": "32", "persons": "23", "organizations": "12", "activities": "42", "notes": "45"}
    assert bench.loaded(LATER) == {table: 1 for table in gone if table != "deals"}
    for table, key in gone.items():
        assert bench.rows(f"select id from raw_pipedrive.{table} where is_deleted") == [(key,)]
    assert bench.rows("select status from raw_pipedrive.deals where id = '32'") == [("deleted",)]
    assert_same(bench)
    bench.world.now += timedelta(days=31)
    assert bench.loaded() == {}
    bench.world.crm.deals[1].archived_at = None  # taken back out of the bin, in time or not
    assert bench.loaded(bench.world.now + timedelta(days=7))["deals"] == 1


def test_a_merged_record_is_gone_and_what_was_its_is_the_others(bench):
    bench.load()
    bench.send("PUT", "v1/organizations/12/merge", merge_with_id=11)
    bench.send("PUT", "v1/persons/22/merge", merge_with_id=23)
    assert bench.loaded() == {
        "organizations": 1,
        "persons": 1,
        "deals": 2,
        "deal_participants": 4,
    }
    assert bench.loaded(LATER) == {"organizations": 1, "persons": 1}
    assert bench.rows("select id from raw_pipedrive.persons where is_deleted") == [("22",)]
    taken_off = "select deal_id, person_id from raw_pipedrive.deal_participants where is_deleted order by all"
    assert bench.rows(taken_off) == [("31", "22"), ("32", "22")]
    bench.send("PUT", "v1/deals/32/merge", merge_with_id=31)
    assert bench.loaded(LATER)["deals"] == 1
    assert bench.rows("select id from raw_pipedrive.deals where is_deleted") == [("32",)]
    assert_same(bench)


def test_a_person_who_left_a_deal_without_a_trace_is_seen_in_the_next_sweep(bench):
    bench.load()
    bench.world.crm.deals[0].contact_ids = ["21"]
    assert bench.loaded() == {"deals": 1, "deal_participants": 1}  # in the lag window
    bench.world.crm.deals[1].contact_ids = []
    assert bench.loaded() == {}
    swept = bench.load(LATER)
    assert written(swept) == {"deals": 1, "deal_participants": 1}
    assert swept.tables["deal_changes"].extracted == 1  # of the one deal that changed
    assert_same(bench)


def test_archived_deals_are_deals(bench):
    bench.load()
    bench.send("PATCH", "v2/deals/31", is_archived=True)
    assert [deal["id"] for deal in bench.get("v2/deals").json()["data"]] == [32]
    assert bench.loaded() == {"deals": 1}
    assert bench.loaded(LATER) == {}
    found = "select id, is_archived, is_deleted from raw_pipedrive.deals order by id"
    assert bench.rows(found) == [("31", True, False), ("32", False, False)]


def test_long_lists_are_followed_to_their_ends(bench, monkeypatch):
    monkeypatch.setattr(pipedrive, "PAGE", 1)
    monkeypatch.setattr(pipedrive, "FLOW_PAGE", 1)
    deal = bench.world.crm.deals[1]
    for number in range(5):
        deal.history["amount"].append((day(9 + number), Decimal(20_000 + number)))
    deal.amount, deal.contact_ids = Decimal(20_004), ["21", "22", "23"]
    bench.load()
    assert bench.rows("select count(*) from raw_pipedrive.deal_changes where deal_id = '32'") == [(6,)]
    assert_same(bench)
    for person in bench.world.crm.contacts:
        bench.send("PATCH", f"v2/persons/{person.id}", owner_id=2)
    assert bench.loaded() == {"persons": 3}
    assert_same(bench)


def test_a_renamed_option_and_a_renamed_field(bench, monkeypatch):
    bench.load()
    sources = next(f for f in fields.FIELDS if (f.entity, f.name) == ("person", "Lead source"))
    monkeypatch.setitem(sources.labels, "inbound", "Website")
    assert bench.loaded() == {"persons": 3, "deals": 2}
    assert bench.rows("select distinct lead_source from raw_pipedrive.persons") == [("Website",)]
    monkeypatch.setattr(fields, "FIELDS", [f for f in fields.FIELDS if f.name not in ("Tax ID", "Industry")])
    [warning] = bench.load().warnings
    assert "table 'organizations'" in warning
    assert "'Industry', 'Tax ID'" in warning


def test_a_plan_without_teams_has_owners_without_teams(tmp_path, monkeypatch):
    async def refused(crm, request):
        raise api._Refused(403, "Scope and URL mismatch")

    monkeypatch.setattr(api._Crm, "teams", refused)
    with served("pipedrive", small_world, tmp_path) as bench:
        report = bench.load()
    assert report.tables["teams"].total == 0
    assert "does not show teams" in report.warnings[0]


def test_an_unpaid_account_is_one_message(bench, monkeypatch):
    refusal = JSONResponse({"success": False, "error": "Payment required"}, 402)
    monkeypatch.setattr(api, "rate_limited", lambda _seconds: refusal)
    bench.fault("v2/persons", "429")
    with pytest.raises(UserError, match=r"'pipedrive'.*HTTP 402.*subscription"):
        bench.load()


def test_check_tells_a_wrong_token_and_a_server_that_is_down(bench, monkeypatch):
    pipedrive.check(bench.config)
    monkeypatch.setenv("SOURCES__PIPEDRIVE__API_KEY", "wrong")
    with pytest.raises(UserError, match="refused the credentials") as told:
        pipedrive.check(bench.config)
    assert "wrong" not in str(told.value)
    nowhere = bench.config.model_copy(update={"base_url": "http://127.0.0.1:9/pipedrive"})
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
def test_a_bad_request_gets_the_vendors_error_body(bench, path, params, status, says):
    answer = bench.get(path, **params)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert says in answer.json()["error"]


def test_a_deal_counts_its_participants_only_if_asked(bench):
    asked = bench.get("v2/deals", include_fields="participants_count").json()["data"]
    plain = bench.get("v2/deals").json()["data"]
    assert [deal.pop("participants_count") for deal in asked] == [2, 1]
    assert asked == plain


def test_only_api_v1_takes_the_token_from_the_query(bench):
    token = {"api_token": api.KEY}
    answers = [
        requests.get(f"{bench.config.base_url}/api/{path}", params=token, timeout=5).status_code
        for path in ("v1/users", "v2/deals")
    ]
    assert answers == [200, 401]


def test_the_flow_tells_of_custom_fields_only_if_asked(bench):
    plain = bench.get("v1/deals/31/flow").json()["data"]
    every = bench.get("v1/deals/31/flow", all_changes=1).json()["data"]
    assert [entry["data"]["field_key"] for entry in plain] == ["status", "value"]
    assert len(every) >= len(plain)
    assert bench.get("v1/notes", updated_since="2026-01-01T00:00:00Z").json()["data"] is None
