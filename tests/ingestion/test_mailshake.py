"""The Mailshake source against the sandbox's Mailshake API, over real HTTP, into a real warehouse."""

from datetime import timedelta

import mailshake_world
import pytest
from mailshake_world import NOW, RECIPIENTS, event, lead, minute, recipient
from vendor_bench import served, written

from ingestion import mailshake
from settings.errors import UserError


@pytest.fixture
def bench(tmp_path):
    with served("mailshake", mailshake_world.build, tmp_path) as bench:
        yield bench


def extracted(report):
    return {name: table.extracted for name, table in report.tables.items() if table.extracted}


def test_lists_give_the_newest_first_and_page_without_gaps(bench):
    seen, token = [], None
    while True:
        body = bench.get("activity/sent", perPage=50, nextToken=token).json()
        seen += body["results"]
        token = body["nextToken"]
        if not seen[50:]:  # what is sent while a client pages shifts no page
            event(bench.world, 1000, "sent", minute(1000))
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
def test_a_bad_request_gets_the_vendors_error_body(bench, path, params, status, code):
    answer = bench.get(path, **params)
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "error", "time"}
    assert answer.json()["code"] == code


def test_post_and_filters_work_as_documented(bench):
    body = {"replyType": "out-of-office", "campaignID": 101}
    answer = bench.request("POST", "activity/replies", json=body).json()
    assert [reply["recipient"]["id"] for reply in answer["results"]] == [1003]


def test_first_load_holds_everything_then_a_rerun_loads_nothing(bench):
    report = bench.load()
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
    assert bench.rows("select type, code from raw_mailshake.replies order by action_date") == [
        ("reply", None),
        ("out-of-office", None),
        ("bounce", "5.1.1"),
        ("bounce", "4.2.2"),
        ("unsubscribe", None),
    ]
    held = bench.rows("select * from raw_mailshake.sent order by id")
    again = bench.load()
    assert written(again) == {}
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
    assert bench.rows("select * from raw_mailshake.sent order by id") == held


def test_only_what_is_new_or_changed_is_loaded(bench):
    bench.load()
    email = bench.world.email
    email.recipients.append(recipient(1200, "101", minute(400)))
    event(bench.world, 1200, "sent", minute(401))
    event(bench.world, 1200, "open", minute(500))
    event(bench.world, 1001, "click", minute(299.5), link="https://acme.test/b")
    email.leads.append(lead("302", 1200, minute(750)))
    email.leads[0].status, email.leads[0].updated_at = "closed", minute(700)
    email.campaigns[0].archived_at = minute(800)
    assert bench.loaded() == {
        "campaigns": 1,
        "recipients": 1,
        "sent": 1,
        "opens": 1,
        "clicks": 1,
        "leads": 2,
    }
    changed = "select status, last_status_change_date from raw_mailshake.leads where id = '301'"
    assert bench.rows(changed) == [("closed", minute(700))]
    assert bench.rows("select archived from raw_mailshake.campaigns where id = '101'") == [(minute(800),)]


def test_what_is_gone_is_marked_deleted(bench):
    bench.load()
    del bench.world.email.team[1]
    bench.world.email.recipients = [r for r in bench.world.email.recipients if r.id != "2000"]
    bench.world.email.recipients[5].first_name = "Paula"
    assert bench.loaded() == {"team": 1}  # old recipients are in no list of changes
    later = NOW + timedelta(days=mailshake.SWEEP_DAYS)
    assert bench.loaded(later) == {"recipients": 2}
    gone = "select id from raw_mailshake.recipients where is_deleted"
    assert bench.rows(gone) == [("2000",)]
    assert bench.rows("select id from raw_mailshake.team where is_deleted") == [("2",)]


def test_a_rate_that_stays_limited_is_one_message(bench):
    bench.fault("activity/clicks", "429", None)
    with pytest.raises(UserError, match="activity/clicks still limits the rate"):
        bench.load()


def test_an_object_that_is_no_object_any_more_is_named(bench):
    bench.fault("activity/clicks", "flip_type", field="recipient")
    with pytest.raises(UserError, match="recipient"):
        bench.load()


def test_check_tells_a_wrong_key_and_a_server_that_is_down(bench, monkeypatch):
    mailshake.check(bench.config)
    monkeypatch.setenv("SOURCES__MAILSHAKE__API_KEY", "wrong")
    with pytest.raises(UserError, match="refused the credentials") as told:
        mailshake.check(bench.config)
    assert "wrong" not in str(told.value)
    nowhere = bench.config.model_copy(update={"base_url": "http://127.0.0.1:9/mailshake"})
    with pytest.raises(UserError, match="cannot be reached"):
        mailshake.check(nowhere)
