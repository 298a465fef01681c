"""Mailshake's raw tables, and its objects as their rows.

Texts of messages are not kept; of a bounce, only the mail server's code. A field nobody declared stays in the
row, so that the load announces it and keeps it in `_extra`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa

from ingestion import json_pages
from ingestion.core import TableSpec
from ingestion.http import BadAnswerError

Json = dict[str, Any]

_KEY = ("id",)
_TEXTS = {"subject", "rawBody", "body", "plainTextBody"}
_OUTSIDE = {"from", "to", "externalID", "externalRawMessageID", "externalConversationID"}
_SPARE = {"object", "url", "fullName", "openedDate", "teamName", "teamBlockedDate", "contactID"}
#: What a mail server answers: the exact code (RFC 3463), or else the basic one.
_CODES = (re.compile(r"\b[45]\.\d{1,3}\.\d{1,3}\b"), re.compile(r"\b[45]\d\d\b"))

#: Where an event's columns are: of what a reply, open or click has not, the e-mail has that it is about.
_PLACES = {
    "id": ("id",),
    "action_date": ("actionDate",),
    "recipient_id": ("recipient.id",),
    "campaign_id": ("campaign.id",),
    "email": ("recipient.emailAddress",),
    "type": ("type", "parent.type"),
    "message_id": ("message.id", "parent.message.id"),
    "sent_id": ("parent.id",),
    "is_duplicate": ("isDuplicate",),
    "link": ("link",),
}
_EVENT = {
    "id": "text",
    "action_date": "timestamp",
    "recipient_id": "text",
    "campaign_id": "text",
    "email": "text",
    "type": "text",
    "message_id": "text",
    "sent_id": "text",
}


def _spec(description: str, columns: dict[str, str], **more: Any) -> TableSpec:
    return TableSpec(description, _KEY, columns, ignored=frozenset(_TEXTS | _OUTSIDE | _SPARE), **more)


TABLES: dict[str, TableSpec] = {
    "team": _spec(
        "Users of the team; those who left are marked deleted",
        {
            "id": "text",
            "email": "text",
            "first": "text",
            "last": "text",
            "team_id": "text",
            "is_team_admin": "bool",
            "is_disabled": "bool",
            "is_deleted": "bool",
        },
        complete=True,
    ),
    "campaigns": _spec(
        "Campaigns, archived ones included",
        {
            "id": "text",
            "title": "text",
            "created": "timestamp",
            "archived": "timestamp",
            "is_archived": "bool",
            "is_paused": "bool",
            "messages": "json",
            "sender_id": "text",
            "sender_email": "text",
            "is_deleted": "bool",
        },
        complete=True,
    ),
    "recipients": _spec(
        "People in campaigns, one row per campaign they are in",
        {
            "id": "text",
            "campaign_id": "text",
            "email": "text",
            "first": "text",
            "last": "text",
            "fields": "json",
            "is_paused": "bool",
            "created": "timestamp",
            "is_deleted": "bool",
        },
        fills=("recipients",),
        custom="fields",
    ),
    "sent": _spec("E-mails sent, one row a message", _EVENT, happened="action_date"),
    "opens": _spec(
        "Opens, repeated ones included", {**_EVENT, "is_duplicate": "bool"}, happened="action_date"
    ),
    "clicks": _spec(
        "Clicks, repeated ones included",
        {**_EVENT, "is_duplicate": "bool", "link": "text"},
        happened="action_date",
    ),
    "replies": _spec(
        "Replies of every type: people's, automatic ones, bounces, unsubscribes",
        {**_EVENT, "code": "text"},
        happened="action_date",
    ),
    "leads": _spec(
        "Leads of Lead Catcher",
        {
            "id": "text",
            "campaign_id": "text",
            "recipient_id": "text",
            "email": "text",
            "status": "text",
            "assigned_to_email": "text",
            "created": "timestamp",
            "last_status_change_date": "timestamp",
        },
    ),
}


def member(body: Json) -> Json:
    """A row of `team`."""
    names = {"emailAddress": "email", "teamID": "team_id"}
    flags = {"isTeamAdmin": "is_team_admin", "isDisabled": "is_disabled"}
    return _renamed(body, names | flags) | {"is_deleted": False}


def campaign(body: Json) -> Json:
    """A row of `campaigns`."""
    sender = _part(body, "sender") or {}
    row = _renamed(body, {"isPaused": "is_paused", "isArchived": "is_archived"}, "sender")
    return row | {
        "sender_id": sender.get("id"),
        "sender_email": sender.get("emailAddress"),
        "is_deleted": False,
    }


def recipient(body: Json, campaign_id: str) -> Json:
    """A row of `recipients`."""
    row = _renamed(body, {"emailAddress": "email", "isPaused": "is_paused"})
    return row | {"campaign_id": campaign_id, "is_deleted": False}


def events(table: str, pages: Sequence[bytes]) -> pa.Table | list[Json]:
    """Rows of `sent`, `opens`, `clicks` or `replies` out of pages of them: there are millions."""
    kinds = TABLES[table].columns
    if "code" not in kinds:
        found = json_pages.columns(pages, "results", _places(table), kinds, _known(table))
        if found is not None:
            return found
    bodies = (body for page in pages for body in msgspec.json.decode(page)["results"] or [])
    return [event(table, body) for body in bodies]


def event(table: str, body: Json) -> Json:
    """A row of `sent`, `opens`, `clicks` or `replies`."""
    for name in ("recipient", "campaign", "parent", "message"):
        _part(_part(body, name) or {}, "message")
    known = _known(table)
    row = {key: value for key, value in body.items() if key not in known}
    row |= {name: json_pages.first(body, places) for name, places in _places(table).items()}
    return row if table != "replies" else row | {"code": _code(body)}


@cache
def _known(table: str) -> frozenset[str]:
    read = {path.partition(".")[0] for places in _places(table).values() for path in places}
    return TABLES[table].ignored | read


@cache
def _places(table: str) -> dict[str, tuple[str, ...]]:
    return {name: places for name, places in _PLACES.items() if name in TABLES[table].columns}


def _code(bounce: Json) -> str | None:
    """What the mail server said, of a reply that is a bounce."""
    if bounce.get("type") != "bounce":
        return None
    text = str(bounce.get("plainTextBody"))
    return next((found.group() for code in _CODES if (found := code.search(text))), None)


def lead(body: Json) -> Json:
    """A row of `leads`."""
    assigned = _part(body, "assignedTo") or {}
    row = _renamed(body, {"lastStatusChangeDate": "last_status_change_date"}, "assignedTo")
    return row | _whose(row, body) | {"assigned_to_email": assigned.get("emailAddress")}


def _whose(row: Json, body: Json) -> Json:
    """Recipient and campaign of an event or lead, taken out of their objects."""
    person, place = _part(body, "recipient") or {}, _part(body, "campaign") or {}
    row.pop("recipient", None)
    row.pop("campaign", None)
    return {
        "recipient_id": person.get("id"),
        "email": person.get("emailAddress"),
        "campaign_id": place.get("id"),
    }


def _renamed(body: Json, names: dict[str, str], *left_out: str) -> Json:
    return {names.get(key, key): value for key, value in body.items() if key not in left_out}


def _part(body: Json, name: str) -> Json | None:
    """A nested object; anything else in its place is a fault."""
    part = body.get(name)
    if part is not None and not isinstance(part, dict):
        raise BadAnswerError(
            f"{body.get('object', 'object')}.{name}", f"it is {type(part).__name__}, not an object"
        )
    return part
