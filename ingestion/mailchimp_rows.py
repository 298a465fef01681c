"""Mailchimp's raw tables, and its objects as their rows.

Texts of messages are not kept; of a reply, only whether a machine wrote it. A field nobody declared stays in
the row, so that the load announces it and keeps it in `_extra`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import md5
from typing import Any

from ingestion.core import COUNTS, COUNTS_SPEC, TableSpec
from ingestion.http import BadAnswerError

Json = dict[str, Any]

#: How mail programs begin the subject of what they answer by themselves.
_AUTOMATIC = re.compile(r"\s*(auto(matic|mated)?[ -]?(reply|response)|out[ -]of[ -](the[ -])?office)", re.I)

_CONTACT = {"campaign_id": "text", "email_id": "text", "list_id": "text", "email_address": "text"}
_ABOUT_CONTACT = {"merge_fields", "vip", "list_is_active", "contact_status", "gmt_offset"}
#: Texts, settings of the look, and figures that change without the record.
_SPARE = {
    *("_links", "web_id", "archive_url", "long_archive_url", "content_type", "needs_block_refresh"),
    *("resendable", "variate_settings", "ab_split_opts", "rss_opts", "tracking", "social_card"),
    *("report_summary", "delivery_status", "resend_shortcut_eligibility", "resend_shortcut_usage"),
    *("parent_campaign_id", "trigger_settings", "delay", "has_logo_merge_tag"),
}
_LIST_SPARE = {
    *("_links", "web_id", "contact", "permission_reminder", "use_archive_bar", "campaign_defaults"),
    *("notify_on_subscribe", "notify_on_unsubscribe", "list_rating", "email_type_option"),
    *("subscribe_url_short", "subscribe_url_long", "beamer_address", "visibility", "double_optin"),
    *("has_welcome", "marketing_permissions", "modules", "stats"),
}
_REPORT_SPARE = {
    *("_links", "subject_line", "preview_text", "list_is_active", "list_name", "rss_last_send", "forwards"),
    *("facebook_likes", "industry_stats", "list_stats", "ab_split", "timewarp", "timeseries", "share_report"),
    *("ecommerce", "delivery_status"),
}
_MEMBER_SPARE = {
    *("_links", "full_name", "email_type", "consents_to_one_to_one_messaging", "sms_phone_number"),
    *("sms_subscription_status", "sms_subscription_last_updated", "interests", "stats", "ip_signup"),
    *("ip_opt", "member_rating", "language", "vip", "email_client", "location", "marketing_permissions"),
    *("last_note", "tags_count", "tags", "unsubscribe_reason"),
}


def _spec(description: str, key: str, columns: dict[str, str], ignored: set[str], **more: Any) -> TableSpec:
    return TableSpec(description, tuple(key.split()), columns, ignored=frozenset(ignored), **more)


_SENDER = {"title": "text", "from_name": "text", "reply_to": "text", "list_id": "text"}

TABLES: dict[str, TableSpec] = {
    "lists": _spec(
        "Audiences, which are the lists that people are on",
        "id",
        {"id": "text", "name": "text", "date_created": "timestamp", "is_deleted": "bool"},
        _LIST_SPARE,
        complete=True,
    ),
    "campaigns": _spec(
        "Campaigns other than automations, drafts included",
        "id",
        {
            "id": "text",
            "type": "text",
            "status": "text",
            **_SENDER,
            "create_time": "timestamp",
            "send_time": "timestamp",
            "emails_sent": "bigint",
            "is_deleted": "bool",
        },
        _SPARE,
        complete=True,
    ),
    "automations": _spec(
        "Classic automations: series of e-mails that something sets off",
        "id",
        {
            "id": "text",
            "status": "text",
            **_SENDER,
            "create_time": "timestamp",
            "start_time": "timestamp",
            "emails_sent": "bigint",
            "is_deleted": "bool",
        },
        _SPARE,
        complete=True,
    ),
    "automation_emails": _spec(
        "E-mails of classic automations",
        "id",
        {
            "id": "text",
            "workflow_id": "text",
            "position": "bigint",
            "status": "text",
            **_SENDER,
            "create_time": "timestamp",
            "start_time": "timestamp",
            "emails_sent": "bigint",
            "is_deleted": "bool",
        },
        _SPARE | {"send_time"},
        complete=True,
    ),
    "reports": _spec(
        "The figures of every campaign and automation e-mail that was sent",
        "id",
        {
            "id": "text",
            "type": "text",
            "campaign_title": "text",
            "list_id": "text",
            "send_time": "timestamp",
            "emails_sent": "bigint",
            "opens_total": "bigint",
            "clicks_total": "bigint",
            "bounced": "bigint",
            "unsubscribed": "bigint",
            "abuse_reports": "bigint",
            "last_open": "timestamp",
            "last_click": "timestamp",
            "is_deleted": "bool",
        },
        _REPORT_SPARE,
        complete=True,
    ),
    "members": _spec(
        "Contacts, one row per audience they are in; archived ones count as deleted",
        "web_id",
        {
            "web_id": "text",
            "list_id": "text",
            "id": "text",
            "contact_id": "text",
            "unique_email_id": "text",
            "email_address": "text",
            "status": "text",
            "merge_fields": "json",
            "source": "text",
            "timestamp_signup": "timestamp",
            "timestamp_opt": "timestamp",
            "last_changed": "timestamp",
            "is_deleted": "bool",
        },
        _MEMBER_SPARE,
        newest_by="last_changed",
        fills=("recipients",),
        custom="merge_fields",
    ),
    "sends": _spec(
        "Who was sent what; for automations, whose e-mails go to each in their own time, also when",
        "campaign_id email_id",
        {**_CONTACT, "sent_at": "timestamp"},
        _ABOUT_CONTACT | {"status", "open_count", "last_open", "absplit_group", "_links"},
        told_by="reports",
    ),
    "activity": _spec(
        "Opens, clicks and bounces, repeated ones included; `number` tells those of one second apart",
        "campaign_id email_id action occurred_at number",
        {
            **_CONTACT,
            "action": "text",
            "occurred_at": "timestamp",
            "number": "bigint",
            "type": "text",
            "url": "text",
        },
        _ABOUT_CONTACT | {"ip", "_links"},
        told_by="reports",
        happened="occurred_at",
    ),
    "unsubscribes": _spec(
        "Who unsubscribed in answer to what",
        "campaign_id email_id",
        {**_CONTACT, "occurred_at": "timestamp", "reason": "text"},
        _ABOUT_CONTACT | {"_links"},
        told_by="reports",
    ),
    "complaints": _spec(
        "Who reported what as spam",
        "id",
        {"id": "text", **_CONTACT, "occurred_at": "timestamp"},
        _ABOUT_CONTACT | {"_links"},
        told_by="reports",
    ),
    "replies": _spec(
        "Messages of the conversations that Mailchimp kept",
        "conversation_id number",
        {
            "conversation_id": "text",
            "number": "bigint",
            "campaign_id": "text",
            "list_id": "text",
            "email_id": "text",
            "email_address": "text",
            "occurred_at": "timestamp",
            "is_automatic": "bool",
        },
        {"_links", "from_label", "message", "read", "id"},
    ),
    COUNTS: COUNTS_SPEC,
}


def audience(body: Json) -> Json:
    """A row of `lists`."""
    return body | {"is_deleted": False}


def campaign(body: Json) -> Json:
    """A row of `campaigns`, `automations` or `automation_emails`."""
    settings, recipients = _part(body, "settings"), _part(body, "recipients")
    return _without(body, "settings", "recipients") | {
        "list_id": recipients.get("list_id"),
        "title": settings.get("title"),
        "from_name": settings.get("from_name"),
        "reply_to": settings.get("reply_to"),
        "is_deleted": False,
    }


def report(body: Json) -> Json:
    """A row of `reports`."""
    opens, clicks, bounces = (_part(body, name) for name in ("opens", "clicks", "bounces"))
    return _without(body, "opens", "clicks", "bounces") | {
        "opens_total": opens.get("opens_total"),
        "last_open": opens.get("last_open"),
        "clicks_total": clicks.get("clicks_total"),
        "last_click": clicks.get("last_click"),
        "bounced": (bounces.get("hard_bounces") or 0) + (bounces.get("soft_bounces") or 0),
        "is_deleted": False,
    }


def member(body: Json) -> Json:
    """A row of `members`."""
    return body | {"is_deleted": body.get("status") == "archived"}


def activity(body: Json) -> Iterator[Json]:
    """The rows of `activity` that a contact's answer to one e-mail gives."""
    happened = body.get("activity") or []
    if not isinstance(happened, list):
        raise BadAnswerError("email-activity", "activity is not a list")
    alike: dict[tuple[str, str], int] = defaultdict(int)
    for one in sorted(happened, key=lambda x: (str(x.get("timestamp")), str(x.get("url")))):
        kind = (str(one.get("action")), str(one.get("timestamp")))
        alike[kind] += 1
        about = {"occurred_at": one.get("timestamp"), "number": alike[kind]}
        yield _without(body, "activity") | _without(one, "timestamp") | about


def unsubscribe(body: Json) -> Json:
    """A row of `unsubscribes`."""
    return _without(body, "timestamp") | {"occurred_at": body.get("timestamp")}


def complaint(body: Json) -> Json:
    """A row of `complaints`."""
    return _without(body, "date") | {"occurred_at": body.get("date")}


def reply(talk: Json, message: Json, number: int) -> Json:
    """A row of `replies`, from a conversation and one of its messages."""
    sender = str(message.get("from_email") or "")
    return _without(message, "from_email", "subject", "timestamp") | {
        "conversation_id": talk["id"],
        "number": number,
        "campaign_id": talk.get("campaign_id"),
        "list_id": talk.get("list_id"),
        "email_id": md5(sender.lower().encode(), usedforsecurity=False).hexdigest(),
        "email_address": sender,
        "occurred_at": message.get("timestamp"),
        "is_automatic": bool(_AUTOMATIC.match(str(message.get("subject") or ""))),
    }


def _without(body: Json, *names: str) -> Json:
    return {name: value for name, value in body.items() if name not in names}


def _part(body: Json, name: str) -> Json:
    """A nested object; anything else in its place is a fault."""
    part = body.get(name)
    if part is not None and not isinstance(part, dict):
        raise BadAnswerError(str(body.get("id")), f"{name} is {type(part).__name__}, not an object")
    return part or {}
