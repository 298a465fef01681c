"""The Mailchimp source against the sandbox's Mailchimp API, over real HTTP, into a real warehouse."""

import re
from collections import Counter
from datetime import timedelta
from hashlib import md5

import duckdb
import mailshake_world
import pytest
import requests
from mailshake_world import NOW, RECIPIENTS, event, minute, recipient

from ingestion import mailchimp, mailchimp_lists
from ingestion.core import load_source
from sandbox.api import mailchimp as api
from sandbox.world import Campaign
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

BASIC = ("anybody", api.KEY)
NEWSLETTER = "103"
READERS = range(3000, 3012)


@pytest.fixture
def world():
    """The hand-built world, with a newsletter that went to everybody at once."""
    world = mailshake_world.build()
    email = world.email
    sender = "news@acme.test"
    email.campaigns.append(Campaign(NEWSLETTER, "News", "marketing", sender, sender, minute(5), ["204"]))
    for key in READERS:
        email.recipients.append(recipient(key, NEWSLETTER, minute(20)))
        news(world, key, "sent", minute(400))
    news(world, 3001, "open", minute(450))
    news(world, 3001, "open", minute(450), is_machine=True)  # twice in one second
    news(world, 3001, "click", minute(450), link="https://acme.test/news")
    news(world, 3002, "complaint", minute(455))
    news(world, 3003, "unsubscribe", minute(456))
    return world


def news(world, key, kind, at, **more):
    found = event(world, key, kind, at, **more)
    found.campaign_id, found.message_id = NEWSLETTER, "204"
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


@pytest.fixture
def asked(monkeypatch):
    """The paths asked for; what is put into `then` is done once a path that matches was asked for n times."""
    paths, then = [], []
    authorised = api.authorised

    def noting(request):
        paths.append(request.url.path.partition("/3.0/")[2])
        for pattern, times, act in list(then):
            if sum(bool(re.fullmatch(pattern, path)) for path in paths) == times:
                then.remove((pattern, times, act))
                act()
        return authorised(request)

    monkeypatch.setattr(api, "authorised", noting)
    paths.clear()
    noting.paths, noting.then = paths, then
    return noting


def load(config, home, as_of=NOW):
    return load_source(config, as_of, home)


def loaded(report):
    tables = report.tables.items()
    return {name: table.loaded for name, table in tables if table.loaded and not name.startswith("_")}


def rows(home, query):
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        return warehouse.execute(query).fetchall()


def fault(server, path, kind, times=1, **more):
    body = {"path": path, "kind": kind, "times": times, **more}
    requests.post(f"{server}/_sandbox/faults", json=body, timeout=5).raise_for_status()


def call(config, method, path, **params):
    url = f"{config.base_url}/3.0/{path}"
    return requests.request(method, url, params=params, auth=BASIC, timeout=5)


def hashed(email):
    return md5(email.lower().encode(), usedforsecurity=False).hexdigest()


def member_path(world, key):
    found = next(r for r in world.email.recipients if r.id == key)
    campaign = next(c for c in world.email.campaigns if c.id == found.campaign_id)
    return f"lists/{api.shapes.list_id(campaign)}/members/{hashed(found.email)}"


def assert_held_as_in(world, home, gone=()):
    """The raw tables hold, row by row, what the world has; the contacts `gone` are marked deleted."""
    email = world.email
    lists = {campaign.id: api.shapes.list_id(campaign) for campaign in email.campaigns}
    by_id = {r.id: r for r in email.recipients}
    states = {"bounced": "cleaned", "unsubscribed": "unsubscribed"}
    leads = {one.recipient_id: one for one in email.leads}
    columns = (
        "web_id, list_id, id, email_address, status, merge_fields ->> 'FNAME', merge_fields ->> 'LEADSTATUS',"
        " timestamp_opt, last_changed"
    )
    assert rows(home, f"select {columns} from raw_mailchimp.members where not is_deleted order by all") == [
        (
            *(r.id, lists[r.campaign_id], hashed(r.email), r.email, states.get(r.status, "subscribed")),
            *(r.first_name, leads[r.id].status if r.id in leads else "", r.added_at),
            max([r.updated_at, *([leads[r.id].updated_at] if r.id in leads else [])]),
        )
        for r in sorted(email.recipients, key=lambda r: r.id)
        if r.id not in gone
    ]
    deleted = "select web_id from raw_mailchimp.members where is_deleted order by all"
    assert rows(home, deleted) == [(key,) for key in sorted(gone)]

    letters = "select id from raw_mailchimp.{} where not is_deleted order by all"
    assert rows(home, letters.format("campaigns")) == [(NEWSLETTER,)]
    sequences = [campaign for campaign in email.campaigns if campaign.id != NEWSLETTER]
    assert rows(home, letters.format("automations")) == sorted((c.id,) for c in sequences)
    assert rows(home, letters.format("automation_emails")) == sorted(
        (m,) for c in sequences for m in c.message_ids
    )

    happened = {"sent": [], "activity": [], "unsubscribe": [], "complaint": [], "reply": []}
    alike = Counter()
    for one in sorted(email.events, key=lambda e: (e.occurred_at, e.link or "")):
        letter = NEWSLETTER if one.campaign_id == NEWSLETTER else one.message_id
        key = (letter, hashed(one.email), lists[one.campaign_id], one.email)
        kind = "activity" if one.event_type in ("open", "click", "bounce") else one.event_type
        if kind == "activity":
            alike[(*key, one.event_type, one.occurred_at)] += 1
            number = alike[(*key, one.event_type, one.occurred_at)]
            happened[kind].append((*key, one.event_type, one.occurred_at, number, one.bounce_type, one.link))
        elif kind == "sent":
            happened[kind].append((*key, None if letter == NEWSLETTER else one.occurred_at))
        else:
            happened[kind].append((*key, one.occurred_at, *([one.is_machine] if kind == "reply" else [])))
    assert by_id.keys() >= {one.recipient_id for one in email.events}
    whose = "campaign_id, email_id, list_id, email_address"
    tables = {
        "sends": ("sent", "sent_at"),
        "activity": ("activity", "action, occurred_at, number, type, url"),
        "unsubscribes": ("unsubscribe", "occurred_at"),
        "complaints": ("complaint", "occurred_at"),
        "replies": ("reply", "occurred_at, is_automatic"),
    }
    for table, (kind, more) in tables.items():
        found = rows(home, f"select {whose}, {more} from raw_mailchimp.{table}")
        assert sorted(found, key=str) == sorted(happened[kind], key=str), table


def test_first_load_holds_everything_then_a_rerun_loads_nothing(config, home, world, asked):
    report = load(config, home)
    assert {name: table.total for name, table in report.tables.items()} == {
        "lists": 3,
        "campaigns": 1,
        "automations": 2,
        "automation_emails": 3,
        "reports": 2,
        "members": RECIPIENTS + 1 + len(READERS),
        "sends": RECIPIENTS + len(READERS),
        "activity": 9,
        "unsubscribes": 2,
        "complaints": 1,
        "replies": 2,
        "_counts": 3,
    }
    assert report.warnings == []
    assert_held_as_in(world, home)
    assert Counter(re.sub("[0-9a-f]{10,}|[0-9]{3}", "*", path) for path in asked.paths) == {
        "lists": 1,
        "campaigns": 2,  # the list, and how many there are
        "automations": 1,
        "automations/*/emails": 2,
        "reports": 2,
        "lists/*/members": 9,  # present and archived ones of each audience, and how many there are
        "reports/*/sent-to": 2,
        "lists/*/members/*/activity-feed": RECIPIENTS,  # none for the newsletter
        "reports/*/email-activity": 2,
        "reports/*/unsubscribed": 2,
        "reports/*/abuse-reports": 1,
        "conversations": 1,  # and no messages, where each has one
    }

    held = rows(home, "select * from raw_mailchimp.activity order by all")
    asked.paths.clear()
    again = load(config, home)
    assert loaded(again) == {}
    assert again.tables["members"].extracted == 2 + len(READERS)  # of each audience those in the lag window
    assert rows(home, "select * from raw_mailchimp.activity order by all") == held
    assert not [path for path in asked.paths if path.startswith(("reports/", "conversations/"))]
    assert not [path for path in asked.paths if "activity-feed" in path]


def test_only_what_is_new_or_changed_is_loaded(config, home, world, asked):
    load(config, home)
    email = world.email
    email.recipients.append(recipient(1200, "101", minute(800)))
    event(world, 1200, "sent", minute(801))
    event(world, 1007, "sent", minute(802)).message_id = "202"
    event(world, 1200, "open", minute(810))
    event(world, 1001, "click", minute(299.5), link="https://acme.test/b")
    news(world, 3004, "unsubscribe", minute(815))
    event(world, 1200, "reply", minute(820))
    for at in (821, 825, 830):  # a conversation, of which the list shows the last message
        event(world, 1002, "reply", minute(at))
    email.recipients[3].first_name, email.recipients[3].updated_at = "Paula", minute(840)
    email.leads[0].status, email.leads[0].updated_at = "closed", minute(845)
    asked.paths.clear()
    assert loaded(load(config, home)) == {
        "automations": 1,
        "automation_emails": 2,
        "reports": 3,
        "members": 3,
        "sends": 2,
        "activity": 2,
        "unsubscribes": 1,
        "replies": 4,
    }
    assert_held_as_in(world, home)
    kinds = Counter(path.rsplit("/", 1)[-1] for path in asked.paths)
    assert (kinds["activity-feed"], kinds["messages"], kinds["email-activity"]) == (2, 1, 1)
    assert loaded(load(config, home)) == {}


def test_what_comes_late_inside_the_lag_window_is_not_missed(config, home, world):
    load(config, home)
    event(world, 1007, "open", minute(271) - timedelta(minutes=9))
    email = world.email
    email.recipients[3].first_name = "Paula"
    email.recipients[3].updated_at = minute(310) - timedelta(minutes=9)  # the newest is the lead, at 310
    assert loaded(load(config, home)) == {"activity": 1, "members": 1, "reports": 1}
    assert_held_as_in(world, home)


def test_what_is_archived_or_deleted_is_marked(config, home, world, asked):
    load(config, home)
    assert call(config, "DELETE", member_path(world, "1010")).status_code == 204
    world.now += timedelta(minutes=1)
    assert loaded(load(config, home)) == {"members": 1}
    assert rows(home, "select web_id, status from raw_mailchimp.members where is_deleted") == [
        ("1010", "archived")
    ]
    assert_held_as_in(world, home, {"1010"})

    erased = next(r for r in world.email.recipients if r.id == "1100")
    asked.paths.clear()
    posted = f"{member_path(world, '1100')}/actions/delete-permanent"
    assert call(config, "POST", posted).status_code == 204
    assert loaded(load(config, home)) == {"members": 1}
    again = [path for path in asked.paths if path.endswith("/members")]
    assert len(again) == 9 + 2  # the one audience was read again
    world.email.recipients.append(erased)  # for the comparison: nothing that was loaded is lost
    assert_held_as_in(world, home, {"1010", "1100"})
    world.email.recipients.remove(erased)

    world.email.campaigns = [campaign for campaign in world.email.campaigns if campaign.id != "102"]
    world.email.recipients = [r for r in world.email.recipients if r.campaign_id != "102"]
    assert loaded(load(config, home)) == {
        "lists": 1,
        "automations": 1,
        "automation_emails": 1,
        "members": 1,
    }
    assert rows(home, "select id from raw_mailchimp.automations where is_deleted") == [("102",)]
    assert rows(home, "select web_id from raw_mailchimp.members where is_deleted order by all") == [
        ("1010",),
        ("1100",),
        ("2000",),
    ]


def test_records_that_come_and_go_between_two_pages_are_all_seen(config, home, world, asked, monkeypatch):
    monkeypatch.setattr(mailchimp_lists, "PAGE", 10)
    email = world.email
    audience = member_path(world, "1000").rpartition("/members/")[0]

    def arrive():
        email.recipients.append(recipient(1300, "101", minute(900)))
        event(world, 1300, "sent", minute(901))

    def leave(*keys):  # from pages already read: all others move forward
        email.recipients[:] = [r for r in email.recipients if r.id not in keys]

    asked.then += [
        (f"{audience}/members", 4, arrive),
        (f"{audience}/members", 6, lambda: leave("1110", "1111", "1112")),
        ("reports/201/sent-to", 5, lambda: leave("1011", "1012", "1013")),
        ("reports/201/email-activity", 3, lambda: event(world, 1020, "open", minute(950))),
    ]
    load(config, home)
    assert asked.then == []
    sent = rows(home, "select email_address from raw_mailchimp.sends where campaign_id = '201'")
    present = {r.email for r in email.recipients if r.campaign_id == "101"}
    assert {address for (address,) in sent} >= present
    load(config, home)
    held = rows(home, "select web_id from raw_mailchimp.members where not is_deleted order by all")
    assert held == sorted((r.id,) for r in email.recipients)
    assert rows(home, "select count(*) from raw_mailchimp.activity where email_address like 'p1020@%'") == [
        (1,)
    ]


def test_a_few_faults_are_ridden_out(config, home, server, world):
    fault(server, "email-activity", "500", 2)
    fault(server, "campaigns", "429", 1)
    fault(server, "activity-feed", "429", 3)
    load(config, home)
    assert_held_as_in(world, home)


@pytest.mark.parametrize(
    ("kind", "says"),
    [("401", "SOURCES__MAILCHIMP__API_KEY"), ("429", "limits the rate"), ("broken_json", "not valid JSON")],
)
def test_a_lasting_fault_is_one_clear_message_and_loads_nothing(config, home, server, world, kind, says):
    load(config, home)
    event(world, 1000, "click", minute(900), link="https://acme.test/c")
    event(world, 1000, "sent", minute(901)).message_id = "202"
    fault(server, "email-activity", kind, 9)
    with pytest.raises(UserError, match=says) as told:
        load(config, home)
    assert "email-activity" in str(told.value)
    assert api.KEY not in str(told.value)
    assert rows(home, "select count(*) from raw_mailchimp.sends") == [(RECIPIENTS + len(READERS),)]
    requests.delete(f"{server}/_sandbox/faults", timeout=5).raise_for_status()
    load(config, home)
    assert_held_as_in(world, home)


def test_a_new_field_is_kept_and_a_changed_type_refused(config, home, server, world):
    fault(server, "/members$", "new_field", None, field="score")
    assert any("score" in said for said in load(config, home).warnings)
    extras = "select distinct _extra from raw_mailchimp.members"
    assert rows(home, extras) == [('{"score":"new"}',)]
    requests.delete(f"{server}/_sandbox/faults", timeout=5).raise_for_status()
    flips = {
        "/members$": "last_changed",
        "sent-to": "email_id",
        "email-activity": "url",
        "campaigns": "settings",
    }
    for place, (path, field) in enumerate(flips.items()):
        event(world, 1008, "click", minute(900 + 2 * place), link="https://acme.test/c")
        event(world, 1001 + place, "sent", minute(901 + 2 * place)).message_id = "202"
        fault(server, path, "flip_type", field=field)
        with pytest.raises(UserError, match=field):
            load(config, home)
    load(config, home)
    assert_held_as_in(world, home)


def test_a_list_that_ends_before_its_own_count_is_refused(config, home, monkeypatch):
    honest = api._members
    monkeypatch.setattr(api, "_members", lambda *given: honest(*given) | {"total_items": 130})
    with pytest.raises(UserError, match="it lists 120 of 130 members"):
        load(config, home)


def test_a_backfill_reads_again_what_was_loaded(config, home, world):
    load(config, home)
    with duckdb.connect(str(home.warehouse)) as warehouse:
        for table in ("sends", "activity", "unsubscribes", "replies", "members"):
            warehouse.execute(f"delete from raw_mailchimp.{table}")
    load_source(config, NOW, home, mailchimp.changes.Backfill(minute(0)))
    assert_held_as_in(world, home)


def test_a_backfill_with_an_end_reads_the_contacts_of_its_time(config, home, world):
    load(config, home)
    changed = sorted(moment for (moment,) in rows(home, "select last_changed from raw_mailchimp.members"))
    since, until = changed[0], changed[len(changed) // 2]
    assert changed[0] < until < changed[-1]
    with duckdb.connect(str(home.warehouse)) as warehouse:
        warehouse.execute("update raw_mailchimp.members set _hash = 0")
    load_source(config, NOW, home, mailchimp.changes.Backfill(since, "members", until))
    again = rows(home, "select last_changed from raw_mailchimp.members where _hash <> 0 order by 1")
    assert [moment for (moment,) in again] == [moment for moment in changed if since < moment < until]


def test_check_tells_a_wrong_key_and_a_server_that_is_down(config, monkeypatch):
    mailchimp.check(config)
    nowhere = config.model_copy(update={"base_url": "http://127.0.0.1:9/mailchimp"})
    with pytest.raises(UserError, match="cannot be reached"):
        mailchimp.check(nowhere)
    monkeypatch.setenv("SOURCES__MAILCHIMP__API_KEY", "wrong")
    with pytest.raises(UserError, match="refused the credentials") as told:
        mailchimp.check(config)
    assert "wrong" not in str(told.value)
    with pytest.raises(UserError, match="does not end in a data centre"):
        mailchimp.check(config.model_copy(update={"base_url": None}))
