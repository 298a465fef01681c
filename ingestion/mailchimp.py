"""Mailchimp: audiences, their contacts, what was sent to them and what came of it.

In: Mailchimp's Marketing API 3.0, at the data centre that the key names. Out: the raw tables of
`mailchimp_rows`.

Objects: audiences, contacts, campaigns, classic automations and their e-mails, reports, recipients, send
times of automation e-mails, opens, clicks, bounces, unsubscribes, abuse reports, conversations.

Changes: contacts by `since_last_changed`, newest first, a cursor per audience. Of a campaign or
automation e-mail only what its report says has changed is read again: recipients where `emails_sent` or
the bounces moved, activity since the report's last open or click before, unsubscribes and abuse reports
where their number moved; so a late event is seen however old its campaign. Conversations where
`message_count` moved. Automation e-mails go out one by one and no list has their times: they are read
from the activity feed of each contact who was sent something new, on several connections. A list from
which records vanished while it was paged is read again.

Deletes: audiences, campaigns and automations are listed whole, and what is missing is marked. Archived
contacts are listed apart. A contact deleted for good leaves no trace: where an audience has another
number of contacts than the warehouse, it is listed whole and who is missing is marked.

Limits: 10 connections at a time, of which 8 are used; pages of 1,000; a contact's first 1,000 opens and
clicks of a campaign. Mailchimp limits no rate; the connector keeps to 1,000 requests a second.

Permissions: an API key of a user with the role Viewer or higher; Mailchimp's keys have no scopes.

Secrets: `api_key`, with the data centre after the last hyphen, such as `...-us21`.

Left out: texts of messages; replies since Mailchimp replaced conversations by its Inbox, which has no API
(on an account without the older conversations there are no replies); times of Timewarp sends by time zone
(the campaign's own is taken); customer journeys' e-mails, which the API does not list; SMS; e-commerce.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
from dlt.extract import DltSource
from requests import HTTPError

from ingestion import changes, core, mailchimp_rows
from ingestion.arrow import TYPES
from ingestion.core import Batches, Feed, State, make_source
from ingestion.http import VendorClient, explain
from ingestion.mailchimp_client import CONNECTIONS, PAGE, VERSION, ShortPage, connect, explained, refused
from ingestion.mailchimp_rows import TABLES, Json
from settings.config import SourceConfig

log = logging.getLogger(__name__)

#: Rows that are turned into one Arrow table.
BATCH = 20_000
#: How often a list is read that loses records meanwhile.
READS = 3
#: How long a send is looked for that the activity feed does not show yet.
WAIT = timedelta(days=7)
#: Links, and what moves or weighs much and is in no table.
WITHOUT = {
    "lists": "lists._links,lists.stats",
    "members": "members._links,members.stats,members.location,members.last_note",
    "reports": "reports._links,reports.timeseries,reports.share_report",
    "sent_to": "sent_to._links,sent_to.merge_fields",
    "emails": "emails._links",
    "unsubscribes": "unsubscribes._links,unsubscribes.merge_fields",
    "abuse_reports": "abuse_reports._links,abuse_reports.merge_fields",
    "conversations": "conversations._links,conversations.last_message.message",
    "conversation_messages": "conversation_messages._links,conversation_messages.message",
}
#: What a change of a report's figures makes to be read again.
FIGURES = {
    "sent_to": ("emails_sent", "bounces"),
    "email_activity": ("opens", "clicks", "bounces"),
    "unsubscribed": ("unsubscribed",),
    "abuse_reports": ("abuse_reports",),
}


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """The dlt source; the key is looked up here."""
    load = _Load(connect(config), as_of, config.lag_minutes)
    feeds: dict[str, Feed] = {
        "lists": load.lists,
        "members": load.members,
        "campaigns": load.campaigns,
        "automations": load.automations,
        "automation_emails": load.automation_emails,
        "reports": load.reports,
        "sent_to": load.sent_to,
        "sends": load.sends,
        "email_activity": load.email_activity,
        "unsubscribed": partial(load.listed, "unsubscribed", "unsubscribed", "unsubscribes"),
        "abuse_reports": partial(load.listed, "abuse_reports", "abuse-reports", "abuse_reports"),
        "conversations": load.conversations,
        "conversation_messages": load.conversation_messages,
    }
    return make_source(config, TABLES, {name: explained(config, feed) for name, feed in feeds.items()})


def check(config: SourceConfig) -> None:
    """One cheap call; `UserError` if Mailchimp cannot be reached or refuses the key."""
    try:
        connect(config).get_json(f"{VERSION}/ping")
    except Exception as exc:
        raise refused(exc, config) or explain(exc, config.name) from exc


class _Load:
    """One load of one Mailchimp account. The feeds run in the order of `source`; later ones use what
    earlier ones found: audiences, automations and their e-mails, changed reports, e-mails without a time.
    """

    def __init__(self, api: VendorClient, as_of: datetime, lag_minutes: int) -> None:
        self.api = api
        self.as_of = as_of
        self.lag_minutes = lag_minutes
        self.list_ids: list[str] = []
        self.workflow_ids: list[str] = []
        self.series: dict[str, int] = {}  # e-mails of automations, and how often each was sent
        self.moved: dict[str, list[str]] = {table: [] for table in FIGURES}
        self.active_until: dict[str, str] = {}  # the last open or click that a report knows of
        self.unsent: dict[tuple[str, str], set[str]] = defaultdict(set)  # contact -> e-mails without a time
        self.talks: list[Json] = []

    def lists(self, state: State) -> Batches:
        """All audiences."""
        rows = [mailchimp_rows.audience(body) for body in self._list("lists", "lists")]
        self.list_ids = [row["id"] for row in rows]
        yield rows

    def members(self, state: State) -> Batches:
        """Contacts that changed; all of an audience that has another number of them than the warehouse."""
        held: dict[str, dict[str, str]] = {list_id: {} for list_id in self.list_ids}
        live = "not coalesce(is_deleted, false)"
        for row in changes.known_rows("members", ("list_id", "id", "status"), live):
            held.setdefault(row["list_id"], {})[row["id"]] = row["status"]

        def rows() -> Iterator[Json]:
            for list_id in self.list_ids:
                mine = held[list_id]
                yield from self._members(list_id, mine, state, full=not mine)
                if not self._counted(list_id, mine):
                    mine.clear()
                    yield from self._members(list_id, mine, state, full=True)

        yield from _batches(rows())
        seen = [(list_id, key) for list_id in self.list_ids for key in held[list_id]]
        columns = [pa.array(column, TYPES["text"]) for column in zip(*seen, strict=True)] or [[], []]
        keys = pa.table(columns, names=["list_id", "id"])
        yield core.deleted("members", TABLES["members"], [keys.cast(_KEYS)])

    def _members(self, list_id: str, mine: dict[str, str], state: State, full: bool) -> Iterator[Json]:
        """An audience's contacts, newest change first: what changes meanwhile is in the next load.

        Archived ones are asked for by name; the documentation does not say that the list has them.
        """
        for status in (None, "archived"):
            cursor = f"{list_id} {status or 'all'}"
            since = None if full else changes.cursor_start(state, self.lag_minutes, cursor)
            params = {"sort_field": "last_changed", "sort_dir": "DESC", "status": status}
            params["since_last_changed"] = since.isoformat() if since else None
            newest: list[str] = []
            for body in self._list(f"lists/{list_id}/members", "members", **params):
                mine[body["id"]] = body["status"]
                newest = newest or [body["last_changed"]]
                yield mailchimp_rows.member(body)
            changes.advance_cursor(state, newest, cursor)

    def _counted(self, list_id: str, mine: dict[str, str]) -> bool:
        """Whether the audience has as many contacts as we know of."""
        counts = []
        for status in (None, "archived"):
            params = {"count": 1, "fields": "total_items", "status": status}
            answer = self.api.get_json(f"{VERSION}/lists/{list_id}/members", _given(params))
            counts.append(answer["total_items"])
        archived = sum(status == "archived" for status in mine.values())
        return counts[1] == archived and counts[0] in (len(mine), len(mine) - archived)

    def campaigns(self, state: State) -> Batches:
        """All campaigns."""
        yield [mailchimp_rows.letter(body) for body in self._list("campaigns", "campaigns")]

    def automations(self, state: State) -> Batches:
        """All automations."""
        rows = [mailchimp_rows.letter(body) for body in self._list("automations", "automations")]
        self.workflow_ids = [row["id"] for row in rows]
        yield rows

    def automation_emails(self, state: State) -> Batches:
        """All e-mails of all automations."""
        found: list[Json] = []
        for workflow_id in self.workflow_ids:
            found += self._list(f"automations/{workflow_id}/emails", "emails")
        self.series = {body["id"]: body.get("emails_sent") or 0 for body in found}
        yield [mailchimp_rows.letter(body) for body in found]

    def reports(self, state: State) -> Batches:
        """All reports; those that differ from the warehouse's say what to read again."""
        names = sorted({figure for figures in FIGURES.values() for figure in figures})
        known = {row["id"]: row for row in changes.known_rows("reports", ("id", *names))}
        rows = list(self._list("reports", "reports"))
        listed = {row["id"] for row in rows}
        # The documentation does not promise that the list has automations' e-mails.
        for email_id, sent in self.series.items():
            if sent and email_id not in listed:
                rows.append(dict(self.api.get_json(f"{VERSION}/reports/{email_id}")))
        for row in rows:
            before = known.get(row["id"], {})
            for table, figures in FIGURES.items():
                if any(_figure(before.get(name)) != row.get(name) for name in figures):
                    self.moved[table].append(row["id"])
            times = [(row.get("opens") or {}).get("last_open"), (row.get("clicks") or {}).get("last_click")]
            self.active_until[row["id"]] = max((at for at in times if at), default="")
        yield rows

    def sent_to(self, state: State) -> Batches:
        """Recipients of what was sent to more of them than before."""
        moved = self.moved["sent_to"]
        known = set()
        for row in _known_of("sends", ("campaign_id", "email_id"), moved):
            known.add((row["campaign_id"], row["email_id"]))

        def rows() -> Iterator[Json]:
            for campaign_id in moved:
                for body in self._list(f"reports/{campaign_id}/sent-to", "sent_to"):
                    if campaign_id in self.series and (campaign_id, body["email_id"]) not in known:
                        self.unsent[body["list_id"], body["email_id"]].add(campaign_id)
                    yield body

        yield from _batches(rows())

    def sends(self, state: State) -> Batches:
        """Times of automations' e-mails that are new among the recipients, or were not shown yet."""
        since = {tuple(key): at for *key, at in state.get("waiting", [])}
        for list_id, email_id, campaign_id in since:
            self.unsent[list_id, email_id].add(campaign_id)
        waiting = []

        def rows() -> Iterator[Json]:
            for (list_id, email_id), feed in self._feeds(self.unsent):
                found = [body for body in feed or [] if body.get("campaign_id") in self.series]
                for body in found:
                    yield {**body, "list_id": list_id, "email_id": email_id}
                if feed is None:
                    continue  # the contact was deleted meanwhile
                for campaign_id in self.unsent[list_id, email_id] - {body["campaign_id"] for body in found}:
                    began = since.get((list_id, email_id, campaign_id), self.as_of.isoformat())
                    if self.as_of - datetime.fromisoformat(began) < WAIT:
                        waiting.append([list_id, email_id, campaign_id, began])

        yield from _batches(rows())
        state["waiting"] = sorted(waiting)

    def _feeds(
        self, contacts: Iterable[tuple[str, str]]
    ) -> Iterator[tuple[tuple[str, str], list[Json] | None]]:
        """What was sent to each contact; None for one that is not there any more."""
        left = iter(contacts)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            while some := list(islice(left, PAGE)):
                yield from zip(some, pool.map(self._feed, some), strict=True)

    def _feed(self, contact: tuple[str, str]) -> list[Json] | None:
        list_id, email_id = contact
        path = f"{VERSION}/lists/{list_id}/members/{email_id}/activity-feed"
        params = {"activity_filters": "sent"}
        try:
            pages = self.api.paginate(path, params=params, paginator=ShortPage(), data_selector="activity")
            return [body for page in pages for body in page]
        except HTTPError as exc:
            if exc.response is not None and exc.response.status_code == 404:
                return None
            raise

    def email_activity(self, state: State) -> Batches:
        """Opens, clicks and bounces since a report's last known ones.

        The cursor is what the report said before its activity was read: nothing before it was missed.
        """

        def rows() -> Iterator[Json]:
            for campaign_id in self.moved["email_activity"]:
                since = changes.cursor_start(state, self.lag_minutes, campaign_id)
                path, given = f"reports/{campaign_id}/email-activity", since.isoformat() if since else None
                for body in self._list(path, "emails", since=given):
                    yield from mailchimp_rows.activities(body)
                changes.advance_cursor(state, [self.active_until[campaign_id]], campaign_id)

        yield from _batches(rows())

    def listed(self, table: str, path: str, key: str, state: State) -> Batches:
        """A list of the reports whose number of these has moved."""
        yield from _batches(
            body
            for campaign_id in self.moved[table]
            for body in self._list(f"reports/{campaign_id}/{path}", key)
        )

    def conversations(self, state: State) -> Batches:
        """All conversations; an account without the feature has none."""
        known = {
            row["id"]: row["message_count"]
            for row in changes.known_rows("conversations", ("id", "message_count"))
        }
        try:
            found = list(self._list("conversations", "conversations"))
        except HTTPError as exc:
            if exc.response is None or exc.response.status_code not in (403, 404):
                raise
            log.warning("table 'conversations': this account has none, so no replies are loaded")
            found = []
        self.talks = [body for body in found if known.get(body["id"]) != body["message_count"]]
        yield found

    def conversation_messages(self, state: State) -> Batches:
        """Messages of conversations that went on. One that is still its first message shows it itself."""

        def rows() -> Iterator[Json]:
            for talk in self.talks:
                if talk["message_count"] == 1 and talk.get("last_message"):
                    bodies = [talk["last_message"]]
                else:
                    bodies = list(self._list(f"conversations/{talk['id']}/messages", "conversation_messages"))
                yield from mailchimp_rows.conversation_messages(talk, bodies)

        yield from _batches(rows())

    def _list(self, path: str, key: str, **params: Any) -> Iterator[Json]:
        """A list to its end; once more if records left it meanwhile, since others slipped past an edge."""
        without = WITHOUT.get(key, f"{key}._links")
        given = _given({"exclude_fields": f"_links,{without}", **params})
        for _ in range(READS):
            totals: list[int] = []
            for page in self.api.paginate(f"{VERSION}/{path}", params=dict(given), data_selector=key):
                totals.append(page.response.json()["total_items"])
                yield from page
            if totals == sorted(totals):
                return


_KEYS = pa.schema([("list_id", TYPES["text"]), ("id", TYPES["text"])])


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _figure(held: Any) -> Any:
    """A report's figure out of the warehouse, as Mailchimp gave it."""
    return json.loads(held) if isinstance(held, str) else held


def _known_of(table: str, columns: tuple[str, ...], campaign_ids: list[str]) -> list[Json]:
    """Some columns of what the warehouse has of these campaigns."""
    if not campaign_ids:
        return []
    listed = ", ".join("'" + campaign_id.replace("'", "''") + "'" for campaign_id in campaign_ids)
    return changes.known_rows(table, columns, f"campaign_id in ({listed})")


def _batches(rows: Iterable[Json]) -> Batches:
    """Large batches of rows."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
