"""Mailchimp: audiences and their contacts, campaigns and automations, what was sent and what came of it.

Objects: audiences, their contacts with merge fields, campaigns, classic automations with their e-mails, the
reports of all of them, sends, opens, clicks, bounces, unsubscribes, spam complaints, replies in
conversations; Marketing API 3.0. A contact's company is in the merge field COMPANY. Leads are contacts with
LEADSTATUS; LEADOWNER (an address), LEADOPENED and LEADCLOSED (ISO times) say the rest.

Changes: audiences, campaigns, automations, reports and conversations are few and listed fully. Contacts are
those changed since the cursor minus the lag window, of each audience. What belongs to a campaign is read only
where its report has other figures than before; of activity, what came after the last open or click that the
report knew, minus the lag window. A backfill with an end ends for contacts only. Mailchimp's own counts of
campaigns, reports and contacts are compared with what arrived.

Deletes: audiences, campaigns, automations and reports no longer listed are marked at once, archived contacts
too. Contacts deleted for good show in no list: an audience with another number of contacts than are here is
read again.

Limits: pages of 1,000. Mailchimp allows ten connections at a time, whatever they ask; at most eight are
used. When an automation's e-mail went to a contact stands in the contact's activity feed only: one request
for each contact who was sent something new. Of other campaigns the report says it.

Permissions: an API key, which a user with the role Manager or above makes under Profile, Extras, API keys. It
cannot be narrowed. It ends in the data centre, such as -us6, which is then the beginning of base_url; without
a base_url the key decides.

Secrets: api_key.

Left out: texts of messages; replies in the Inbox, which has replaced conversations and which the API does not
show; automation flows (customer journeys) other than the reports of their e-mails; that a recurring e-mail
went to the same contact again; that a contact whose address changed is the same one in older reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltSource
from dlt.sources.helpers.rest_client.auth import HttpBasicAuth
from requests import HTTPError

from ingestion import changes, core, mailchimp_lists, mailchimp_rows
from ingestion.arrow import READERS, TYPES
from ingestion.core import COUNTS, Batches, Feed, State, counts, make_source
from ingestion.http import BadAnswerError, VendorClient, client, explain, secret
from ingestion.mailchimp_lists import VERSION, Lists
from ingestion.mailchimp_rows import TABLES, Json
from settings.config import SourceConfig
from settings.errors import UserError

__all__ = ["TABLES", "check", "source"]

#: Rows that are turned into one Arrow table.
BATCH = 20_000
#: Connections that ask for contacts' feeds, of the ten that Mailchimp allows.
CONNECTIONS = 8
#: The figures of a report that tell whether a table has something new of it.
FIGURES = {
    "sends": ("emails_sent",),
    "activity": ("opens_total", "clicks_total", "bounced"),
    "unsubscribes": ("unsubscribed",),
    "complaints": ("abuse_reports",),
}
#: What counts the contacts of an audience; an archived one has no date.
_COUNTED = pa.schema(
    [("web_id", TYPES["text"]), ("list_id", TYPES["text"]), ("last_changed", TYPES["timestamp"])]
)


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """The dlt source; the key is looked up here."""
    load = _Load(Lists(_client(config)), as_of, config.lag_minutes)
    feeds: dict[str, Feed] = {
        "lists": load.audiences,
        "campaigns": load.campaigns,
        "automations": load.automations,
        "automation_emails": load.automation_emails,
        "reports": load.reports,
        "members": load.members,
        "sends": load.sends,
        "activity": load.activity,
        "unsubscribes": load.unsubscribes,
        "complaints": load.complaints,
        "replies": load.replies,
        COUNTS: counts,
    }
    return make_source(config, TABLES, feeds)


def check(config: SourceConfig) -> None:
    """One cheap call; `UserError` if Mailchimp cannot be reached or refuses the key."""
    try:
        _client(config).get_json(f"{VERSION}/ping")
    except Exception as exc:
        raise explain(exc, config.name) from exc


def base_url(config: SourceConfig) -> str:
    """Where the account's data is: as configured, else in the data centre that ends the key.

    Raises `UserError` where neither says it, and without a key.
    """
    if config.base_url is not None:
        return config.base_url
    _, dash, centre = secret(config).rpartition("-")
    if not dash:
        raise UserError(
            f"source {config.name!r}: its key does not end in a data centre, such as -us6. "
            f"Set base_url under [sources.{config.name}] to https://<data centre>.api.mailchimp.com"
        )
    return f"https://{centre}.api.mailchimp.com"


def _client(config: SourceConfig) -> VendorClient:
    return client(config, base_url(config), auth=HttpBasicAuth("revops", secret(config)))


class _Load:
    """One load of one account. What the first feeds read tells the later ones where to look."""

    def __init__(self, lists: Lists, as_of: datetime, lag_minutes: int) -> None:
        self.lists = lists
        self.lag_minutes = lag_minutes
        self.counted_before = (as_of - timedelta(minutes=lag_minutes)).replace(microsecond=0)
        self.audience_ids: list[str] = []
        self.workflow_ids: list[str] = []
        self.automatic: set[str] = set()
        self.letters: list[Json] = []
        self.former: dict[str, Json] = {}

    def audiences(self, _state: State) -> Batches:
        """All audiences."""
        rows = [mailchimp_rows.audience(body) for body in self.lists.records("lists", "lists")]
        self.audience_ids = [str(row["id"]) for row in rows]
        yield rows

    def campaigns(self, _state: State) -> Batches:
        """All campaigns."""
        found = self.lists.records("campaigns", "campaigns")
        yield from _batches(mailchimp_rows.campaign(body) for body in found)
        self._count("campaigns", "create_time", self._early("campaigns", "before_create_time"))

    def automations(self, _state: State) -> Batches:
        """All classic automations."""
        found = self.lists.records("automations", "automations")
        rows = [mailchimp_rows.campaign(body) for body in found]
        self.workflow_ids = [str(row["id"]) for row in rows]
        yield rows

    def automation_emails(self, _state: State) -> Batches:
        """The e-mails of each automation."""
        for workflow in self.workflow_ids:
            found = self.lists.whole(f"automations/{workflow}/emails", "emails")
            self.automatic.update(str(body["id"]) for body in found)
            yield [mailchimp_rows.campaign(body) for body in found]

    def reports(self, _state: State) -> Batches:
        """All reports; those with other figures than before are what the next feeds look into."""
        columns = ["id", "last_open", "last_click", *(name for names in FIGURES.values() for name in names)]
        self.former = {row["id"]: row for row in changes.known_rows("reports", columns)}
        self.letters = [mailchimp_rows.report(body) for body in self.lists.records("reports", "reports")]
        yield self.letters
        self._count("reports", "send_time", self._early("reports", "before_send_time"))

    def members(self, state: State) -> Batches:
        """Contacts changed since the last load; all of an audience that has another number of them."""
        read = [_COUNTED.empty_table()]
        for audience in self.audience_ids:
            own: State = state.setdefault(audience, {})
            newest: State = {}
            yield from _noted(self._changed(audience, own, newest), read)
            for cursor, moment in newest.items():
                changes.advance_cursor(own, [moment], cursor)
        seen = pa.concat_tables(read)
        others, _ = changes.gone("members", ("web_id",), _COUNTED.names, seen.select(["web_id"]))
        others = _COUNTED.empty_table() if others is None else others.cast(_COUNTED)
        ours = self._by_audience(pa.concat_tables([seen, others]))
        kept, theirs = [seen], 0
        for audience in self.audience_ids:
            count = self._early(f"lists/{audience}/members", "before_last_changed")
            theirs += count
            if ours.get(audience, 0) == count:
                kept.append(others.filter(pc.equal(others["list_id"], audience)))
                continue
            again = [_COUNTED.empty_table()]
            yield from _noted(self._changed(audience, {}, {}), again)
            kept += again
        yield core.deleted("members", TABLES["members"], [table.select(["web_id"]) for table in kept])
        self._count("members", "last_changed", theirs)

    def sends(self, _state: State) -> Batches:
        """To whom more was sent of what."""
        due = sorted(self._due("sends"), key=_audience_of)
        for audience, letters in groupby(due, _audience_of):
            waiting: dict[str, dict[str, Json]] = {}
            for letter in letters:
                rows = self._new_sends(str(letter["id"]))
                if letter["id"] in self.automatic or "automation" in str(letter.get("type")):
                    for row in rows:
                        waiting.setdefault(str(row["email_id"]), {})[str(letter["id"])] = row
                else:
                    yield from _batches(rows)
            yield from _batches(self._with_times(audience, waiting))

    def activity(self, _state: State) -> Batches:
        """Opens, clicks and bounces after the last that the report before knew."""
        yield from _batches(
            row for letter in self._due("activity") for row in self._activity(str(letter["id"]))
        )

    def unsubscribes(self, _state: State) -> Batches:
        """Who unsubscribed, of what has more of them."""
        for letter in self._due("unsubscribes"):
            found = self.lists.records(f"reports/{letter['id']}/unsubscribed", "unsubscribes", "email_id")
            yield from _batches(mailchimp_rows.unsubscribe(body) for body in found)

    def complaints(self, _state: State) -> Batches:
        """Who complained, of what has more of them."""
        for letter in self._due("complaints"):
            found = self.lists.whole(f"reports/{letter['id']}/abuse-reports", "abuse_reports")
            yield [mailchimp_rows.complaint(body) for body in found]

    def replies(self, _state: State) -> Batches:
        """Messages of conversations that have more of them."""
        known: dict[str, tuple[int, datetime]] = {}
        if changes.backfill() is None:
            for row in changes.known_rows("replies", ["conversation_id", "number", "occurred_at"]):
                last = (row["number"], row["occurred_at"])
                known[row["conversation_id"]] = max(last, known.get(row["conversation_id"], last))
        yield from _batches(
            row
            for talk in self.lists.records("conversations", "conversations")
            for row in self._replies(talk, *known.get(str(talk.get("id")), (0, None)))
        )

    def _due(self, table: str) -> list[Json]:
        """Reports whose figures for a table are others than before; with a backfill all that have any."""
        names = FIGURES[table]
        again = changes.backfill() is not None or not changes.exists(table)
        found = []
        for letter in self.letters:
            figures = [letter.get(name) for name in names]
            former = self.former.get(str(letter["id"]), {})
            if any(figures) and (again or figures != [former.get(name) for name in names]):
                found.append(letter)
        return found

    def _changed(self, audience: str, state: State, newest: State) -> Iterator[Json]:
        """Contacts of an audience changed since the cursors in `state`, archived ones last.

        The newest come first: one that changes meanwhile goes to the front, and the next load, which begins
        at the newest that this one met first (noted in `newest`), has it.
        """
        for cursor, only in (("cursor", {}), ("archived", {"status": "archived"})):
            bounds = changes.cursor_range(state, self.lag_minutes, cursor)
            params = {"sort_field": "last_changed", "sort_dir": "DESC", **only}
            for name, moment in zip(("since_last_changed", "before_last_changed"), bounds, strict=True):
                if moment is not None:
                    params[name] = moment.isoformat(timespec="seconds")
            for body in self.lists.records(f"lists/{audience}/members", "members", **params):
                newest.setdefault(cursor, body.get("last_changed"))
                yield mailchimp_rows.member(body)

    def _new_sends(self, letter: str) -> Iterator[Json]:
        where = f"campaign_id = '{letter.replace(chr(39), chr(39) * 2)}'"
        known = changes.known_keys("sends", "email_id", where)
        for body in self.lists.records(f"reports/{letter}/sent-to", "sent_to", "email_id"):
            if str(body.get("email_id")) not in known:
                yield body

    def _with_times(self, audience: str, waiting: dict[str, dict[str, Json]]) -> Iterator[Json]:
        """Sends, given by contact and campaign, with when each was."""
        contacts = iter(waiting.items())
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            while part := list(islice(contacts, mailchimp_lists.PAGE)):
                list(pool.map(lambda contact: self._add_times(audience, *contact), part))
                yield from (row for _, mine in part for row in mine.values())

    def _add_times(self, audience: str, contact: str, mine: dict[str, Json]) -> None:
        """Add `sent_at` to a contact's sends, by campaign. The feed has the newest first."""
        missing, offset, page = set(mine), 0, mailchimp_lists.PAGE
        path = f"lists/{audience}/members/{contact}/activity-feed"
        while missing:
            try:
                found = self.lists.whole(path, "activity", activity_filters="sent", count=page, offset=offset)
            except HTTPError as exc:
                if exc.response is not None and exc.response.status_code == 404:
                    return  # deleted for good a moment ago
                raise
            for one in found:
                if (letter := str(one.get("campaign_id"))) in missing:
                    mine[letter]["sent_at"] = one.get("created_at_timestamp")
                    missing.discard(letter)
            if len(found) < page:
                return
            offset += page

    def _activity(self, letter: str) -> Iterator[Json]:
        former: Json = self.former.get(letter, {})
        cursor: State = {}
        if changes.exists("activity"):
            changes.advance_cursor(cursor, (former.get(name) for name in ("last_open", "last_click")))
        since = changes.cursor_start(cursor, self.lag_minutes)
        params = {"since": since.isoformat(timespec="seconds")} if since else {}
        for body in self.lists.records(f"reports/{letter}/email-activity", "emails", "email_id", **params):
            yield from mailchimp_rows.activity(body)

    def _replies(self, talk: Json, known: int, until: datetime | None) -> list[Json]:
        """What a conversation has beyond its `known` messages; if that is one, the list shows it."""
        count, last = talk.get("message_count") or 0, talk.get("last_message") or {}
        if count <= known:
            return []
        if count == known + 1 and (until is None or _moment(last.get("timestamp")) > until):
            return [mailchimp_rows.reply(talk, last, count)]
        found = self.lists.whole(f"conversations/{talk['id']}/messages", "conversation_messages")
        found.sort(key=lambda message: str(message.get("timestamp")))
        return [mailchimp_rows.reply(talk, message, place) for place, message in enumerate(found, 1)]

    def _early(self, path: str, before: str) -> int:
        """Mailchimp's count of what is older than the instant up to which we count."""
        return self.lists.total(path, **{before: self.counted_before.isoformat(timespec="seconds")})

    def _count(self, table: str, column: str, rows: int) -> None:
        core.count_at_source(table, rows, column, self.counted_before)

    def _by_audience(self, contacts: pa.Table) -> dict[str, int]:
        """How many contacts of each audience are not archived, of those older than that instant."""
        before = pa.scalar(self.counted_before, TYPES["timestamp"])
        early = contacts.filter(pc.less(contacts["last_changed"], before))
        distinct = early.group_by(["list_id", "web_id"]).aggregate([])
        found = distinct.group_by("list_id").aggregate([("web_id", "count")]).to_pylist()
        return {row["list_id"]: row["web_id_count"] for row in found}


def _batches(rows: Iterable[Json]) -> Iterator[list[Json]]:
    """Rows in large batches."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _noted(contacts: Iterator[Json], read: list[pa.Table]) -> Batches:
    """Contacts in large batches; of each batch that was taken, what counts them is added to `read`."""
    for batch in _batches(contacts):
        yield batch
        columns: dict[str, list[Any]] = {
            "web_id": [str(row["web_id"]) for row in batch],
            "list_id": [row.get("list_id") for row in batch],
            "last_changed": [
                None if row["is_deleted"] else READERS["timestamp"](row["last_changed"]) for row in batch
            ],
        }
        read.append(pa.table(columns, _COUNTED))


def _audience_of(letter: Json) -> str:
    return str(letter.get("list_id"))


def _moment(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        path = f"/{VERSION}/conversations"
        raise BadAnswerError(path, "timestamp of last_message is not a time") from None
