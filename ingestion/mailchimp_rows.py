"""Mailchimp's raw tables, and its objects as their rows.

Nested settings are laid flat under Mailchimp's own names. Texts of messages are not kept; of a reply,
only its subject, which tells automatic ones. A field nobody declared stays in the row, so that the load
announces it and keeps it in `_extra`. Merge fields are the customer's own: staging reads COMPANY as the
contact's company, and a contact with a LEADSTATUS (open, closed, lost, ignored) as a lead, with LEADOWNER
(an address), LEADOPENED and LEADCLOSED (ISO 8601 times).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingestion.core import TableSpec
from ingestion.http import BadAnswerError

Json = dict[str, Any]

#: Links, figures that move without the record changing, and settings that no table needs.
_SPARE = {
    "_links",
    "archive_url",
    "content_type",
    "delay",
    "emails_sent",
    "has_logo_merge_tag",
    "list_is_active",
    "list_name",
    "long_archive_url",
    "merge_fields",
    "needs_block_refresh",
    "report_summary",
    "resendable",
    "social_card",
    "tracking",
    "trigger_settings",
    "vip",
}
_LIST = {"beamer_address", "campaign_defaults", "contact", "email_type_option", "has_welcome", "list_rating"}
_LIST |= {"marketing_permissions", "modules", "notify_on_subscribe", "notify_on_unsubscribe", "visibility"}
_LIST |= {"permission_reminder", "stats", "subscribe_url_long", "subscribe_url_short", "use_archive_bar"}
_MEMBER = {"consents_to_one_to_one_messaging", "email_client", "email_type", "full_name", "interests"}
_MEMBER |= {"ip_opt", "ip_signup", "language", "last_note", "location", "marketing_permissions", "source"}
_MEMBER |= {"member_rating", "sms_phone_number", "sms_subscription_last_updated", "sms_subscription_status"}
_MEMBER |= {"stats", "tags", "tags_count"}
_CAMPAIGN = {"ab_split_opts", "delivery_status", "rss_opts", "variate_settings"}
_REPORT = {"ab_split", "delivery_status", "ecommerce", "facebook_likes", "forwards", "industry_stats"}
_REPORT |= {"list_stats", "preview_text", "rss_last_send", "share_report", "timeseries", "timewarp"}
_SENT_TO = {"absplit_group", "last_open", "open_count"}

#: What a campaign, an automation and its e-mails have alike.
_LETTER = {
    "id": "text",
    "status": "text",
    "create_time": "timestamp",
    "list_id": "text",
    "title": "text",
    "from_name": "text",
    "reply_to": "text",
    "is_deleted": "bool",
}
_WHOSE = {"campaign_id": "text", "list_id": "text", "email_id": "text", "email_address": "text"}


def _spec(
    description: str,
    key: tuple[str, ...],
    columns: dict[str, str],
    ignored: set[str] | None = None,
    complete: bool = False,
    newest_by: str | None = None,
) -> TableSpec:
    left_out = frozenset((_SPARE | (ignored or set())) - columns.keys())
    return TableSpec(description, key, columns, ignored=left_out, complete=complete, newest_by=newest_by)


TABLES: dict[str, TableSpec] = {
    "lists": _spec(
        "Audiences",
        ("id",),
        {"id": "text", "web_id": "text", "name": "text", "date_created": "timestamp", "double_optin": "bool"}
        | {"is_deleted": "bool"},
        _LIST,
        complete=True,
    ),
    "members": _spec(
        "Contacts of audiences, one row per audience they are in; archived ones included",
        ("list_id", "id"),
        {
            "list_id": "text",
            "id": "text",
            "web_id": "text",
            "contact_id": "text",
            "unique_email_id": "text",
            "email_address": "text",
            "status": "text",
            "unsubscribe_reason": "text",
            "merge_fields": "json",
            "timestamp_signup": "timestamp",
            "timestamp_opt": "timestamp",
            "last_changed": "timestamp",
            "is_deleted": "bool",
        },
        _MEMBER,
        newest_by="last_changed",
    ),
    "campaigns": _spec(
        "Campaigns, archived ones included",
        ("id",),
        {**_LETTER, "web_id": "text", "parent_campaign_id": "text", "type": "text", "send_time": "timestamp"},
        _CAMPAIGN,
        complete=True,
    ),
    "automations": _spec(
        "Classic automations, each a series of e-mails",
        ("id",),
        {**_LETTER, "start_time": "timestamp"},
        complete=True,
    ),
    "automation_emails": _spec(
        "E-mails of the automations; Mailchimp reports on each as on a campaign",
        ("id",),
        {
            **_LETTER,
            "workflow_id": "text",
            "web_id": "text",
            "position": "bigint",
            "start_time": "timestamp",
            "send_time": "timestamp",
        },
        complete=True,
    ),
    "reports": _spec(
        "Figures of each campaign and automation e-mail; they tell which have something new",
        ("id",),
        {
            "id": "text",
            "campaign_title": "text",
            "type": "text",
            "list_id": "text",
            "subject_line": "text",
            "send_time": "timestamp",
            "emails_sent": "bigint",
            "abuse_reports": "bigint",
            "unsubscribed": "bigint",
            "bounces": "json",
            "opens": "json",
            "clicks": "json",
        },
        _REPORT,
    ),
    "sent_to": _spec(
        "Who was sent which campaign or automation e-mail",
        ("campaign_id", "email_id"),
        {**_WHOSE, "status": "text", "gmt_offset": "bigint"},
        _SENT_TO,
    ),
    "sends": _spec(
        "When an automation's e-mail was sent to a contact",
        ("campaign_id", "email_id", "created_at_timestamp"),
        {"campaign_id": "text", "list_id": "text", "email_id": "text", "created_at_timestamp": "timestamp"},
        {"activity_type", "campaign_title"},
    ),
    "email_activity": _spec(
        "Opens, clicks and bounces",
        ("campaign_id", "email_id", "action", "timestamp", "url"),
        {**_WHOSE, "action": "text", "type": "text", "timestamp": "timestamp", "url": "text"},
        {"ip"},
    ),
    "unsubscribed": _spec(
        "Who unsubscribed from which campaign or automation e-mail",
        ("campaign_id", "email_id"),
        {**_WHOSE, "timestamp": "timestamp", "reason": "text"},
    ),
    "abuse_reports": _spec(
        "Who reported which campaign or automation e-mail as spam",
        ("campaign_id", "id"),
        {**_WHOSE, "id": "text", "date": "timestamp"},
    ),
    "conversations": _spec(
        "Conversations that replies to campaigns began",
        ("id",),
        {
            "id": "text",
            "campaign_id": "text",
            "list_id": "text",
            "message_count": "bigint",
            "from_email": "text",
            "subject": "text",
        },
        {"from_label", "last_message", "unread_messages"},
    ),
    "conversation_messages": _spec(
        "Messages of the conversations, from contacts and from the company",
        ("conversation_id", "timestamp", "from_email"),
        {"conversation_id": "text", "timestamp": "timestamp", "from_email": "text", "subject": "text"},
        {"id", "from_label", "list_id", "message", "read"},
    ),
}


def audience(body: Json) -> Json:
    """A row of `lists`."""
    return body | {"is_deleted": False}


def member(body: Json) -> Json:
    """A row of `members`."""
    return body | {"is_deleted": False}


def letter(body: Json) -> Json:
    """A row of `campaigns`, `automations` or `automation_emails`."""
    settings, recipients = _part(body, "settings"), _part(body, "recipients")
    row = {name: value for name, value in body.items() if name not in ("settings", "recipients")}
    for name in ("title", "from_name", "reply_to"):
        row[name] = settings.get(name)
    return row | {"list_id": recipients.get("list_id"), "is_deleted": False}


def activities(body: Json) -> Iterator[Json]:
    """The rows of `email_activity` of one contact and campaign."""
    whose = {name: value for name, value in body.items() if name != "activity"}
    for activity in body["activity"]:
        yield {**whose, **activity, "url": activity.get("url") or ""}


def conversation_messages(conversation: Json, bodies: list[Json]) -> Iterator[Json]:
    """The rows of `conversation_messages` of one conversation."""
    for body in bodies:
        yield {**body, "conversation_id": conversation["id"]}


def _part(body: Json, name: str) -> Json:
    """A nested object; anything else in its place is a fault."""
    part = body.get(name)
    if part is not None and not isinstance(part, dict):
        raise BadAnswerError(f"{body.get('id')}.{name}", f"it is {type(part).__name__}, not an object")
    return part or {}
