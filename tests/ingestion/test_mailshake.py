"""The Mailshake source against the sandbox's Mailshake API, over real HTTP, into a real warehouse."""

from datetime import timedelta

import duckdb
import mailshake_world
import pytest
import requests
from mailshake_world import NOW, RECIPIENTS, event, lead, minute, recipient

from ingestion import mailshake
from ingestion.core import load_source
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

KEY = {"apiKey": "sandbox-mailshake-key"}


@pytest.fixture
def world():
    return mailshake_world.build()


@pytest.fixture
def server(sandbox_server, world):
    return sandbox_server(world)


@pytest.fixture
def config(server):
    return SourceConfig(name="mailshake", silo="email", type="mailshake", base_url=f"{server}/mailshake")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def load(config, home, as_of=NOW):
    return load_source(config, as_of, home)


def loaded(report):
    return {name: table.loaded for name, table in report.tables.items() if table.loaded}


def extracted(report):
    return {name: table.extracted for name, table in report.tables.items() if table.extracted}


def rows(home, query):
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        return warehouse.execute(query).fetchall()


def fault(server, path, kind, times=1, **more):
    body = {"path": path, "kind": kind, "times": times, **more}
    requests.post(f"{server}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def get(server, path, **params):
    return requests.get(f"{server}/mailshake/2017-04-01/{path}", params={**KEY, **params}, timeout=5)


def test_lists_give_the_newest_first_and_page_without_gaps(server, world):
    seen, token = [], None
    while True:
        body = get(server, "activity/sent", perPage=50, nextToken=token).json()
        seen += body["results"]
        token = body["nextToken"]
        if not seen[50:]:  # what is sent while a client pages shifts no page
            event(world, 1000, "sent", minute(1000))
        if token is None:
            break
    assert len({sent["id"] for sent in seen}) == len(seen) == RECIPIENTS
    dates = [sent["actionDate"] for sent in seen]
    assert dates == sorted(dates, reverse=True)
    assert seen[0]["recipient"]["emailAddress"] == "p1119@globex.test"


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("recipients/list", {}, 400, "missing_parameter"),
        ("recipients/list", {"campaignID": 9}, 404, "missing_dependent_data"),
        ("activity/sent", {"perPage": 101}, 400, "invalid_parameter"),
        ("activity/sent", {"nextToken": "rubbish"}, 400, "invalid_parameter"),
        ("me", {"apiKey": "wrong"}, 401, "invalid_api_key"),
    ],
)
def test_a_bad_request_gets_the_vendors_error_body(server, path, params, status, code):
    answer = get(server, path, **params)
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "error", "time"}
    assert answer.json()["code"] == code


def test_post_and_filters_work_as_documented(server):
    url = f"{server}/mailshake/2017-04-01/activity/replies"
    body = {"replyType": "out-of-office", "campaignID": 101}
    answer = requests.post(url, params=KEY, json=body, timeout=5).json()
    assert [reply["recipient"]["id"] for reply in answer["results"]] == [1003]


def test_first_load_holds_everything_then_a_rerun_loads_nothing(config, home):
    report = load(config, home)
    assert {name: table.total for name, table in report.tables.items()} == {
        "team": 2,
        "campaigns": 2,
        "recipients": RECIPIENTS + 1,
        "sent": RECIPIENTS,
        "opens": 3,
        "clicks": 1,
        "replies": 5,
        "leads": 1,
    }
    assert rows(home, "select type, code from raw_mailshake.replies order by action_date") == [
        ("reply", None),
        ("out-of-office", None),
        ("bounce", "5.1.1"),
        ("bounce", "4.2.2"),
        ("unsubscribe", None),
    ]
    held = rows(home, "select * from raw_mailshake.sent order by id")
    again = load(config, home)
    assert loaded(again) == {}
    assert extracted(again) == {  # the full lists, and the lag window of ten minutes
        "team": 2,
        "campaigns": 2,
        "recipients": 11,
        "sent": 11,
        "opens": 2,
        "clicks": 1,
        "replies": 5,
        "leads": 1,
    }
    assert rows(home, "select * from raw_mailshake.sent order by id") == held


def test_only_what_is_new_or_changed_is_loaded(config, home, world):
    load(config, home)
    email = world.email
    email.recipients.append(recipient(1200, "101", minute(400)))
    event(world, 1200, "sent", minute(401))
    event(world, 1200, "open", minute(500))
    event(world, 1001, "click", minute(299.5), link="https://acme.test/b")
    email.leads.append(lead("302", 1200, minute(750)))
    email.leads[0].status, email.leads[0].updated_at = "closed", minute(700)
    email.campaigns[0].archived_at = minute(800)
    assert loaded(load(config, home)) == {
        "campaigns": 1,
        "recipients": 1,
        "sent": 1,
        "opens": 1,
        "clicks": 1,
        "leads": 2,
    }
    changed = "select status, last_status_change_date from raw_mailshake.leads where id = '301'"
    assert rows(home, changed) == [("closed", minute(700))]
    assert rows(home, "select archived from raw_mailshake.campaigns where id = '101'") == [(minute(800),)]


def test_a_late_event_inside_the_lag_window_is_not_missed(config, home, world):
    load(config, home)
    event(world, 1007, "reply", minute(304) - timedelta(minutes=9))
    assert loaded(load(config, home)) == {"replies": 1}


def test_what_is_gone_is_marked_deleted(config, home, world):
    load(config, home)
    del world.email.team[1]
    world.email.recipients = [r for r in world.email.recipients if r.id != "2000"]
    world.email.recipients[5].first_name = "Paula"
    assert loaded(load(config, home)) == {"team": 1}  # old recipients are in no list of changes
    later = NOW + timedelta(days=mailshake.SWEEP_DAYS)
    assert loaded(load(config, home, later)) == {"recipients": 2}
    gone = "select id from raw_mailshake.recipients where is_deleted"
    assert rows(home, gone) == [("2000",)]
    assert rows(home, "select id from raw_mailshake.team where is_deleted") == [("2",)]


def test_a_few_faults_are_ridden_out(config, home, server):
    fault(server, "activity/opens", "500", 2)
    fault(server, "campaigns/list", "429", 1)
    assert load(config, home).tables["opens"].total == 3


@pytest.mark.parametrize(
    ("kind", "says"),
    [("401", "SOURCES__MAILSHAKE__API_KEY"), ("429", "limits the rate"), ("broken_json", "not valid JSON")],
)
def test_a_lasting_fault_is_one_clear_message_and_loads_nothing(config, home, server, world, kind, says):
    load(config, home)
    event(world, 1000, "sent", minute(900))
    fault(server, "activity/clicks", kind, 9)
    with pytest.raises(UserError, match=says) as told:
        load(config, home)
    assert "activity/clicks" in str(told.value)
    assert "sandbox-mailshake-key" not in str(told.value)
    assert rows(home, "select count(*) from raw_mailshake.sent") == [(RECIPIENTS,)]


def test_after_a_failed_load_the_next_one_catches_up(config, home, server, world):
    load(config, home)
    event(world, 1000, "sent", minute(900))
    fault(server, "activity/clicks", "401", 1)
    with pytest.raises(UserError):
        load(config, home)
    assert loaded(load(config, home)) == {"sent": 1}


def test_a_new_field_is_kept_and_a_changed_type_refused(config, home, server, world):
    fault(server, "leads/list", "new_field", field="score")
    load(config, home)
    [(extra,)] = rows(home, "select _extra from raw_mailshake.leads")
    assert "score" in extra
    event(world, 1008, "click", minute(900), link="https://acme.test/c")
    fault(server, "activity/clicks", "flip_type", field="isDuplicate")
    with pytest.raises(UserError, match="is_duplicate"):
        load(config, home)
    fault(server, "activity/clicks", "flip_type", field="recipient")
    with pytest.raises(UserError, match="recipient"):
        load(config, home)
    assert loaded(load(config, home)) == {"clicks": 1}


def test_check_tells_a_wrong_key_and_a_server_that_is_down(config, monkeypatch):
    mailshake.check(config)
    monkeypatch.setenv("SOURCES__MAILSHAKE__API_KEY", "wrong")
    with pytest.raises(UserError, match="refused the credentials") as told:
        mailshake.check(config)
    assert "wrong" not in str(told.value)
    nowhere = config.model_copy(update={"base_url": "http://127.0.0.1:9/mailshake"})
    with pytest.raises(UserError, match="cannot be reached"):
        mailshake.check(nowhere)
