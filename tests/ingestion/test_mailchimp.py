"""The Mailchimp source against the sandbox's Mailchimp API, over real HTTP, into a real warehouse."""

from datetime import timedelta

import duckdb
import mailshake_world
import pytest
import requests
from mailshake_world import NOW, RECIPIENTS, event, lead, minute, recipient

from ingestion import mailchimp, mailchimp_client
from ingestion.core import load_source
from sandbox.api import mailchimp as vendor
from sandbox.api import mailchimp_shapes as shapes
from sandbox.world import Campaign
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

KEY = ("anybody", "sandbox-mailchimp-key")


@pytest.fixture
def world():
    """Mailshake's company, with a newsletter that went to everybody at once and a complaint."""
    world = mailshake_world.build()
    newsletter = Campaign("103", "News", "marketing", "sue@acme.test", "sue@acme.test", minute(5), ["204"])
    world.email.campaigns.append(newsletter)
    for key in (3000, 3001):
        world.email.recipients.append(recipient(key, "103", minute(6)))
        told(world, key, "sent", minute(600))
    told(world, 3000, "complaint", minute(605))
    return world


def told(world, key, kind, at, **more):
    found = event(world, key, kind, at, **more)
    found.campaign_id, found.message_id = "103", "204"
    return found


@pytest.fixture
def server(sandbox_server, world):
    return sandbox_server(world)


@pytest.fixture
def config(server):
    return SourceConfig(name="mailchimp", silo="email", type="mailchimp", base_url=f"{server}/mailchimp")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def load(config, home, as_of=NOW):
    return load_source(config, as_of, home)


def loaded(report):
    return {name: table.loaded for name, table in report.tables.items() if table.loaded}


def rows(home, query):
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        return warehouse.execute(query).fetchall()


def fault(server, path, kind, times=1, **more):
    body = {"path": path, "kind": kind, "times": times, **more}
    requests.post(f"{server}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def get(server, path, **params):
    return requests.get(f"{server}/mailchimp/3.0/{path}", params=params, auth=KEY, timeout=5)


def member(world, key):
    """The path of a contact."""
    found = next(r for r in world.email.recipients if r.id == str(key))
    campaign = next(c for c in world.email.campaigns if c.id == found.campaign_id)
    return f"lists/{shapes.list_id(campaign)}/members/{shapes.email_id(found.email)}"


def assert_warehouse_holds_the_world(home, world):
    """Row for row."""
    email = world.email
    held = rows(
        home,
        "select web_id, email_address, merge_fields->>'FNAME', last_changed"
        " from raw_mailchimp.members where not is_deleted and status <> 'archived'",
    )
    index = shapes.Index(world)
    expected = [(r.id, r.email, r.first_name, index.changed(r)) for r in email.recipients]
    assert sorted(held) == sorted(expected)
    regular = index.regular
    letters = {e.id: e.campaign_id if e.campaign_id in regular else e.message_id for e in email.events}
    happened = [(letters[e.id], e.email, e.event_type, e.occurred_at, e.link or "") for e in email.events]
    found = rows(
        home,
        "select campaign_id, email_address, action, timestamp, url from raw_mailchimp.email_activity"
        " union all select campaign_id, email_address, 'unsubscribe', timestamp, ''"
        " from raw_mailchimp.unsubscribed"
        " union all select campaign_id, email_address, 'complaint', date, '' from raw_mailchimp.abuse_reports"
        " union all select c.campaign_id, m.from_email, 'reply', m.timestamp, ''"
        " from raw_mailchimp.conversation_messages m join raw_mailchimp.conversations c"
        " on m.conversation_id = c.id"
        " union all select campaign_id, email_address, 'sent',"
        " coalesce(s.created_at_timestamp, c.send_time), '' from raw_mailchimp.sent_to t"
        " left join raw_mailchimp.sends s using (campaign_id, email_id)"
        " left join raw_mailchimp.campaigns c on c.id = t.campaign_id",
    )
    assert sorted(found) == sorted(happened)


@pytest.mark.parametrize(
    ("path", "params", "status", "title"),
    [
        ("lists", {"count": 1001}, 400, "Invalid Resource"),
        ("lists", {"offset": "x"}, 400, "Invalid Resource"),
        ("lists/nowhere/members", {}, 404, "Resource Not Found"),
        ("reports/999", {}, 404, "Resource Not Found"),
        ("reports/201/email-activity", {"since": "yesterday"}, 400, "Invalid Resource"),
    ],
)
def test_a_bad_request_gets_a_problem(server, path, params, status, title):
    answer = get(server, path, **params)
    assert answer.status_code == status
    assert answer.json().keys() == {"type", "title", "status", "detail", "instance"}
    assert answer.json()["title"] == title
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_lists_page_by_count_and_offset_and_show_the_fields_asked_for(server):
    assert len(get(server, "reports/201/sent-to").json()["sent_to"]) == 10
    body = get(server, "reports/201/sent-to", count=50, offset=100, fields="sent_to.email_id,total_items")
    assert body.json()["total_items"] == RECIPIENTS
    assert len(body.json()["sent_to"]) == 20
    assert body.json()["sent_to"][0].keys() == {"email_id"}
    without = get(server, "reports/201/sent-to", exclude_fields="sent_to.email_id,total_items").json()
    assert "total_items" not in without
    assert "email_id" not in without["sent_to"][0]


def test_activity_since_and_the_feed_are_as_documented(server, world):
    since = minute(265).isoformat()
    answer = get(server, "reports/201/email-activity", since=since, count=100).json()
    assert {row["email_address"] for row in answer["emails"] if row["activity"]} == {
        "p1001@globex.test",
        "p1004@globex.test",
        "p1005@globex.test",
    }
    assert answer["total_items"] == 3
    feed = get(server, f"{member(world, 1001)}/activity-feed", activity_filters="sent").json()
    assert [(item["activity_type"], item["campaign_id"]) for item in feed["activity"]] == [("sent", "201")]
    assert "total_items" not in feed


def test_first_load_holds_everything_then_a_rerun_loads_nothing(config, home, world):
    report = load(config, home)
    assert {name: table.total for name, table in report.tables.items()} == {
        "lists": 3,
        "members": RECIPIENTS + 3,
        "campaigns": 1,
        "automations": 2,
        "automation_emails": 3,
        "reports": 2,
        "sent_to": RECIPIENTS + 2,
        "sends": RECIPIENTS,
        "email_activity": 6,
        "unsubscribed": 1,
        "abuse_reports": 1,
        "conversations": 2,
        "conversation_messages": 2,
    }
    assert report.warnings == []
    assert_warehouse_holds_the_world(home, world)
    again = load(config, home)
    assert loaded(again) == {}
    assert again.tables["sent_to"].extracted == again.tables["email_activity"].extracted == 0


def test_only_what_is_new_or_changed_is_loaded(config, home, world):
    load(config, home)
    email = world.email
    email.recipients.append(recipient(1200, "101", minute(400)))
    event(world, 1200, "sent", minute(401))
    event(world, 1200, "open", minute(500))
    event(world, 1002, "reply", minute(501))
    email.recipients[5].first_name, email.recipients[5].updated_at = "Paula", minute(700)
    email.leads.append(lead("302", 1006, minute(750)))
    report = load(config, home)
    assert loaded(report) == {
        "members": 3,
        "reports": 1,
        "sent_to": 1,
        "sends": 1,
        "email_activity": 1,
        "conversations": 1,
        "conversation_messages": 1,
    }
    assert report.tables["members"].extracted < 10
    assert_warehouse_holds_the_world(home, world)


def test_late_records_inside_the_lag_window_are_not_missed(config, home, world):
    load(config, home)
    event(world, 1007, "open", minute(271) - timedelta(minutes=9))
    late = recipient(1201, "101", minute(119) - timedelta(minutes=9))
    world.email.recipients.append(late)
    assert loaded(load(config, home)) == {"members": 1, "reports": 1, "email_activity": 1}
    assert_warehouse_holds_the_world(home, world)


def test_long_lists_are_followed_while_records_come_and_go(config, home, server, world, monkeypatch):
    monkeypatch.setattr(mailchimp_client, "PAGE", 25)
    page, calls = vendor._page, []

    def moving(request, name, rows, shape, **more):
        body = page(request, name, rows, shape, **more)
        calls.append(name)
        if calls.count("members") == 3 and name == "members":
            world.email.recipients.append(recipient(1300, "101", minute(119.5)))
            world.email.recipients.remove(next(r for r in world.email.recipients if r.id == "1119"))
        if calls.count("members") == 5 and name == "members":
            world.email.recipients.remove(next(r for r in world.email.recipients if r.id == "1118"))
        if calls.count("sent_to") == 2 and name == "sent_to":
            event(world, 1300, "sent", minute(90))  # at the front of the list
        return body

    monkeypatch.setattr(vendor, "_page", moving)
    load(config, home)
    load(config, home)
    live = "select web_id from raw_mailchimp.members where not is_deleted"
    assert {key for (key,) in rows(home, live)} == {r.id for r in world.email.recipients}
    sent = rows(home, "select count(*) from raw_mailchimp.sent_to where campaign_id = '201'")
    assert sent[0][0] >= RECIPIENTS - 1
    assert rows(
        home,
        "select count(*) from raw_mailchimp.sends where email_id in"
        " (select id from raw_mailchimp.members where web_id = '1300')",
    ) == [(1,)]


def test_what_is_archived_or_gone_is_marked(config, home, server, world):
    load(config, home)
    archived, gone = member(world, 1010), member(world, 2000)
    requests.delete(f"{server}/mailchimp/3.0/{archived}", auth=KEY, timeout=5).raise_for_status()
    path = f"{server}/mailchimp/3.0/{gone}/actions/delete-permanent"
    requests.post(path, auth=KEY, timeout=5).raise_for_status()
    assert get(server, gone).status_code == 404
    assert get(server, archived).json()["status"] == "archived"
    del world.email.campaigns[2]
    world.email.recipients = [r for r in world.email.recipients if r.campaign_id != "103"]
    world.email.events = [e for e in world.email.events if e.campaign_id != "103"]
    changed = loaded(load(config, home))
    assert changed == {"lists": 1, "campaigns": 1, "members": 4}
    marked = "select web_id from raw_mailchimp.members where is_deleted order by all"
    assert rows(home, marked) == [("2000",), ("3000",), ("3001",)]
    assert rows(home, "select web_id from raw_mailchimp.members where status = 'archived'") == [("1010",)]
    assert rows(home, "select id from raw_mailchimp.campaigns where is_deleted") == [("103",)]
    assert loaded(load(config, home)) == {}


def test_a_changed_address_is_the_same_contact(config, home, world):
    load(config, home)
    moved = world.email.recipients[8]
    moved.email, moved.updated_at = "pat@elsewhere.test", minute(900)
    assert loaded(load(config, home)).keys() == {"members"}
    held = f"select email_address from raw_mailchimp.members where web_id = '{moved.id}' and not is_deleted"
    assert rows(home, held) == [("pat@elsewhere.test",)]


def test_a_send_that_the_feed_does_not_show_yet_is_looked_for_again(config, home, world, monkeypatch):
    feed = vendor._feed
    monkeypatch.setattr(vendor.Index, "sent", lambda self, event: {"activity_type": "sent"})
    load(config, home)
    assert rows(home, "select count(*) from raw_mailchimp.sends") == [(0,)]
    monkeypatch.undo()
    assert feed is vendor._feed
    assert loaded(load(config, home)) == {"sends": RECIPIENTS}
    assert loaded(load(config, home)) == {}


def test_a_few_faults_are_ridden_out(config, home, server, world):
    fault(server, "email-activity", "500", 2)
    fault(server, "/automations$", "429", 1)
    fault(server, "activity-feed", "429", 2)
    load(config, home)
    assert_warehouse_holds_the_world(home, world)


@pytest.mark.parametrize(
    ("kind", "says"),
    [("401", "SOURCES__MAILCHIMP__API_KEY"), ("429", "limits the rate"), ("broken_json", "not valid JSON")],
)
def test_a_lasting_fault_is_one_clear_message_and_loads_nothing(config, home, server, world, kind, says):
    load(config, home)
    event(world, 1000, "reply", minute(900))
    world.email.recipients.append(recipient(1400, "101", minute(901)))
    fault(server, "conversations", kind, 9)
    with pytest.raises(UserError, match=says) as told:
        load(config, home)
    assert "conversations" in str(told.value)
    assert "sandbox-mailchimp-key" not in str(told.value)
    assert rows(home, "select count(*) from raw_mailchimp.members") == [(RECIPIENTS + 3,)]
    requests.delete(f"{server}/_sandbox/faults", timeout=5)
    load(config, home)
    assert_warehouse_holds_the_world(home, world)


def test_a_refusal_is_told_in_mailchimps_words(config, home, monkeypatch):
    def refuse(*_):
        raise vendor._Refused(403, "Wrong Datacenter", "The key is linked to a different datacenter.")

    monkeypatch.setattr(vendor, "_page", refuse)
    with pytest.raises(UserError, match=r"Wrong Datacenter: The key is linked to a different datacenter\."):
        load(config, home)


def test_an_account_without_conversations_has_no_replies_and_says_so(config, home, monkeypatch):
    page = vendor._page

    def refuse(request, name, rows, shape, **more):
        if name == "conversations":
            raise vendor._Refused(403, "Forbidden", "Conversations are not available.")
        return page(request, name, rows, shape, **more)

    monkeypatch.setattr(vendor, "_page", refuse)
    report = load(config, home)
    assert "no replies are loaded" in report.warnings[0]
    assert report.tables["conversations"].total == 0


def test_a_new_field_is_kept_and_a_changed_type_refused(config, home, server, world):
    fault(server, "members$", "new_field", field="score")
    load(config, home)
    [(extra,)] = rows(home, "select distinct _extra from raw_mailchimp.members where _extra is not null")
    assert "score" in extra
    event(world, 1008, "click", minute(900), link="https://acme.test/c")
    fault(server, "email-activity", "flip_type", field="action")
    with pytest.raises(UserError, match=r"'email_activity', column 'action'.*from text to list"):
        load(config, home)
    fault(server, "/automations$", "flip_type", field="settings")
    with pytest.raises(UserError, match="settings"):
        load(config, home)
    load(config, home)
    assert_warehouse_holds_the_world(home, world)


def test_the_key_names_the_data_centre(monkeypatch):
    config = SourceConfig(name="mc", silo="email", type="mailchimp")
    monkeypatch.setenv("SOURCES__MC__API_KEY", "0123456789abcdef-us21")
    assert mailchimp_client.connect(config).base_url == "https://us21.api.mailchimp.com"
    monkeypatch.setenv("SOURCES__MC__API_KEY", "0123456789abcdef")
    with pytest.raises(UserError, match="data centre") as told:
        mailchimp_client.connect(config)
    assert "0123456789abcdef" not in str(told.value)


def test_check_tells_a_wrong_key_and_a_server_that_is_down(config, monkeypatch):
    mailchimp.check(config)
    monkeypatch.setenv("SOURCES__MAILCHIMP__API_KEY", "wrong-us1")
    with pytest.raises(UserError, match="refused the credentials"):
        mailchimp.check(config)
    nowhere = config.model_copy(update={"base_url": "http://127.0.0.1:9/mailchimp"})
    with pytest.raises(UserError, match="cannot be reached"):
        mailchimp.check(nowhere)
