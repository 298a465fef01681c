"""The sandbox's e-mail records as Mailchimp's objects.

The company keeps an audience per sequence, as many do who came with spreadsheets: a person in two
sequences is a contact of two audiences. A sequence is a classic automation with its e-mails, sent to each
contact in their own time; a newsletter of one message that went to everybody at once is a regular
campaign. An ended sequence is paused. The company's name of a contact is in a merge field of its own,
COMPANY. What became of those who answered is in further ones: LEADSTATUS, LEADOWNER, LEADOPENED and
LEADCLOSED.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

from sandbox.world import Campaign, EmailEvent, Recipient, World

Json = dict[str, Any]


def moment(at: datetime | None) -> str:
    """A time as Mailchimp writes it; what has none is an empty text."""
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def email_id(email: str) -> str:
    """What Mailchimp calls the subscriber hash."""
    return _digest(email.lower())


def list_id(campaign: Campaign) -> str:
    """The audience of a sequence."""
    return _digest(f"audience {campaign.id}")[:10]


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Letter:
    """What Mailchimp reports on: a regular campaign or an automation's e-mail, and what came of it."""

    id: str
    campaign: Campaign
    position: int
    sent: list[EmailEvent] = field(default_factory=list)
    activity: dict[str, list[EmailEvent]] = field(default_factory=lambda: defaultdict(list))  # by email_id
    unsubscribed: list[EmailEvent] = field(default_factory=list)
    complaints: list[EmailEvent] = field(default_factory=list)

    def happened(self, kind: str) -> list[EmailEvent]:
        """All opens, clicks or bounces."""
        return [event for events in self.activity.values() for event in events if event.event_type == kind]


@dataclass
class Talk:
    """A conversation: replies of one contact to one e-mail."""

    id: str
    letter: Letter
    replies: list[EmailEvent]


class Index:
    """The e-mail tool's records as Mailchimp's lists need them."""

    def __init__(self, world: World) -> None:
        email = world.email
        self.world = world
        self.size = _size(world)
        self.campaigns = {list_id(campaign): campaign for campaign in email.campaigns}
        self.members: dict[str, dict[str, Recipient]] = {key: {} for key in self.campaigns}
        list_of = {campaign.id: key for key, campaign in self.campaigns.items()}
        for recipient in email.recipients:
            self.members[list_of[recipient.campaign_id]].setdefault(email_id(recipient.email), recipient)
        self.hashes = {event.email: email_id(event.email) for event in email.events}
        self.regular = _regular(world)
        self.letters: dict[str, Letter] = {}
        letter_of: dict[str, Letter] = {}
        for campaign in email.campaigns:
            for position, key in enumerate(campaign.message_ids, 1):
                letter = Letter(campaign.id if campaign.id in self.regular else key, campaign, position)
                self.letters[letter.id] = letter_of[key] = letter
        self.feeds: dict[tuple[str, str], list[EmailEvent]] = defaultdict(list)
        replies: dict[tuple[str, str], list[EmailEvent]] = defaultdict(list)
        for event in sorted(email.events, key=lambda e: (e.occurred_at, int(e.id))):
            letter, contact = letter_of[event.message_id], self.hashes[event.email]
            if event.event_type == "sent":
                letter.sent.append(event)
                self.feeds[list_of[event.campaign_id], contact].append(event)
            elif event.event_type == "reply":
                replies[letter.id, contact].append(event)
            elif event.event_type == "unsubscribe":
                letter.unsubscribed.append(event)
            elif event.event_type == "complaint":
                letter.complaints.append(event)
            else:
                letter.activity[contact].append(event)
        self.talks = {
            talk.id: talk
            for (key, contact), events in replies.items()
            for talk in [Talk(_digest(f"{key} {contact}")[:12], self.letters[key], events)]
        }
        self.leads = {lead.recipient_id: lead for lead in email.leads}

    def fits(self, world: World) -> bool:
        """Whether this is still an index of everything the world has."""
        return self.world is world and self.size == _size(world)

    def audience(self, key: str) -> Json:
        """An audience."""
        campaign = self.campaigns[key]
        return {
            "id": key,
            "web_id": int(campaign.id),
            "name": campaign.name,
            "date_created": moment(campaign.created_at),
            "double_optin": False,
            "stats": {"member_count": len(self.members[key])},
            "_links": [],
        }

    def member(self, key: str, recipient: Recipient, archived: datetime | None) -> Json:
        """A contact of an audience."""
        status = {"bounced": "cleaned", "unsubscribed": "unsubscribed"}.get(recipient.status, "subscribed")
        return {
            "id": email_id(recipient.email),
            "email_address": recipient.email,
            "unique_email_id": _digest(f"unique {recipient.id}")[:10],
            "contact_id": _digest(f"contact {recipient.id}"),
            "full_name": f"{recipient.first_name} {recipient.last_name}",
            "web_id": int(recipient.id),
            "email_type": "html",
            "status": "archived" if archived else status,
            **({"unsubscribe_reason": "None given"} if status == "unsubscribed" else {}),
            "merge_fields": {
                "FNAME": recipient.first_name,
                "LNAME": recipient.last_name,
                "COMPANY": recipient.company_name or "",
                **self._lead(recipient),
            },
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
            "ip_signup": "",
            "timestamp_signup": "",
            "ip_opt": "",
            "timestamp_opt": moment(recipient.added_at),
            "member_rating": 2,
            "last_changed": moment(archived or self.changed(recipient)),
            "language": "",
            "vip": False,
            "email_client": "",
            "source": "API - Generic",
            "tags_count": 0,
            "tags": [],
            "list_id": key,
            "_links": [],
        }

    def campaign(self, letter: Letter) -> Json:
        """A regular campaign."""
        return {
            "id": letter.id,
            "web_id": int(letter.id),
            "type": "regular",
            "create_time": moment(letter.campaign.created_at),
            "status": "archived" if letter.campaign.archived_at else "sent",
            "emails_sent": len(letter.sent),
            "send_time": moment(letter.sent[0].occurred_at),
            **_sent_from(letter.campaign),
        }

    def automation(self, campaign: Campaign) -> Json:
        """A classic automation."""
        sent = sum(len(self.letters[key].sent) for key in campaign.message_ids)
        return {
            "id": campaign.id,
            "create_time": moment(campaign.created_at),
            "start_time": moment(campaign.created_at),
            "status": "paused" if campaign.archived_at else "sending",
            "emails_sent": sent,
            **_sent_from(campaign),
            "trigger_settings": {
                "workflow_type": "api",
                "workflow_emails_count": len(campaign.message_ids),
            },
        }

    def automation_email(self, letter: Letter) -> Json:
        """An e-mail of a classic automation."""
        return {
            "id": letter.id,
            "web_id": int(letter.id),
            "workflow_id": letter.campaign.id,
            "position": letter.position,
            "create_time": moment(letter.campaign.created_at),
            "start_time": moment(letter.campaign.created_at),
            "status": "paused" if letter.campaign.archived_at else "sending",
            "emails_sent": len(letter.sent),
            **_sent_from(letter.campaign),
        }

    def report(self, letter: Letter) -> Json:
        """The figures of a campaign or e-mail."""
        opens, clicks, bounces = (letter.happened(kind) for kind in ("open", "click", "bounce"))
        openers, clickers = ({event.email for event in events} for events in (opens, clicks))
        reached = max(len(letter.sent) - len(bounces), 1)
        hard = sum(event.bounce_type == "hard" for event in bounces)
        return {
            "id": letter.id,
            "campaign_title": letter.campaign.name,
            "type": "regular" if letter.campaign.id in self.regular else "automation",
            "list_id": list_id(letter.campaign),
            "list_is_active": True,
            "list_name": letter.campaign.name,
            "subject_line": letter.campaign.name,
            "emails_sent": len(letter.sent),
            "abuse_reports": len(letter.complaints),
            "unsubscribed": len(letter.unsubscribed),
            "send_time": moment(letter.sent[0].occurred_at if letter.sent else None),
            "bounces": {"hard_bounces": hard, "soft_bounces": len(bounces) - hard, "syntax_errors": 0},
            "opens": {
                "opens_total": len(opens),
                "unique_opens": len(openers),
                "open_rate": len(openers) / reached,
                "last_open": moment(max((event.occurred_at for event in opens), default=None)),
            },
            "clicks": {
                "clicks_total": len(clicks),
                "unique_clicks": len({(event.email, event.link) for event in clicks}),
                "unique_subscriber_clicks": len(clickers),
                "click_rate": len(clickers) / reached,
                "last_click": moment(max((event.occurred_at for event in clicks), default=None)),
            },
            "_links": [],
        }

    def recipient(self, letter: Letter, event: EmailEvent) -> Json:
        """A row of sent-to."""
        mine = letter.activity.get(self.hashes[event.email], [])
        opens = [other.occurred_at for other in mine if other.event_type == "open"]
        bounced = [other.bounce_type for other in mine if other.event_type == "bounce"]
        return {
            **self._whose(letter, event),
            "merge_fields": {},
            "vip": False,
            "status": bounced[0] if bounced else "sent",
            "open_count": len(opens),
            "last_open": moment(max(opens, default=None)),
            "gmt_offset": 0,
        }

    def activity(self, letter: Letter, event: EmailEvent, since: datetime | None) -> Json:
        """A contact's row of email-activity."""
        happened = []
        for other in letter.activity.get(self.hashes[event.email], []):
            if since is not None and other.occurred_at <= since:
                continue
            shape = {"action": other.event_type, "timestamp": moment(other.occurred_at)}
            if other.event_type == "bounce":
                shape["type"] = other.bounce_type or "hard"
            else:
                shape["ip"] = "203.0.113.7"
            if other.event_type == "click":
                shape["url"] = other.link or ""
            happened.append(shape)
        return {**self._whose(letter, event), "activity": happened}

    def unsubscribe(self, letter: Letter, event: EmailEvent) -> Json:
        """A row of unsubscribed."""
        given = {"timestamp": moment(event.occurred_at), "reason": "None given"}
        return {**self._whose(letter, event), "merge_fields": {}, "vip": False, **given}

    def complaint(self, letter: Letter, event: EmailEvent) -> Json:
        """A row of abuse-reports."""
        return {**self._whose(letter, event), "id": int(event.id), "date": moment(event.occurred_at)}

    def sent(self, event: EmailEvent) -> Json:
        """A send in a contact's activity feed."""
        key = event.campaign_id if event.campaign_id in self.regular else event.message_id
        return {
            "activity_type": "sent",
            "created_at_timestamp": moment(event.occurred_at),
            "campaign_id": key,
            "campaign_title": self.letters[key].campaign.name,
        }

    def talk(self, talk: Talk) -> Json:
        """A conversation, its last message with it."""
        last = self.messages(talk)[-1]
        return {
            "id": talk.id,
            "message_count": len(talk.replies),
            "campaign_id": talk.letter.id,
            "list_id": list_id(talk.letter.campaign),
            "unread_messages": 0,
            "from_label": "",
            "from_email": talk.replies[0].email,
            "subject": self.messages(talk)[0]["subject"],
            "last_message": {name: last[name] for name in last if name not in ("id", "list_id")},
            "_links": [],
        }

    def messages(self, talk: Talk) -> list[Json]:
        """The messages of a conversation."""
        return [
            {
                "id": event.id,
                "conversation_id": talk.id,
                "list_id": int(talk.letter.campaign.id),
                "from_label": "",
                "from_email": event.email,
                "subject": ("Automatic reply: " if event.is_machine else "Re: ") + talk.letter.campaign.name,
                "message": "...",
                "read": True,
                "timestamp": moment(event.occurred_at),
            }
            for event in talk.replies
        ]

    def changed(self, recipient: Recipient) -> datetime:
        """When a contact's record was changed last, its merge fields included."""
        lead = self.leads.get(recipient.id)
        return max(recipient.updated_at, lead.updated_at) if lead else recipient.updated_at

    def _lead(self, recipient: Recipient) -> Json:
        lead = self.leads.get(recipient.id)
        if lead is None:
            return dict.fromkeys(("LEADSTATUS", "LEADOWNER", "LEADOPENED", "LEADCLOSED"), "")
        return {
            "LEADSTATUS": lead.status,
            "LEADOWNER": lead.assigned_to_email,
            "LEADOPENED": moment(lead.created_at),
            "LEADCLOSED": moment(lead.closed_at),
        }

    def _whose(self, letter: Letter, event: EmailEvent) -> Json:
        return {
            "email_id": self.hashes[event.email],
            "email_address": event.email,
            "campaign_id": letter.id,
            "list_id": list_id(letter.campaign),
            "list_is_active": True,
        }


def _regular(world: World) -> set[str]:
    """Campaigns of one message that went to everybody at once."""
    times: dict[str, set[datetime]] = defaultdict(set)
    for event in world.email.events:
        if event.event_type == "sent":
            times[event.campaign_id].add(event.occurred_at)
    newsletters = (c for c in world.email.campaigns if c.kind == "marketing" and len(c.message_ids) == 1)
    return {campaign.id for campaign in newsletters if len(times[campaign.id]) == 1}


def _sent_from(campaign: Campaign) -> Json:
    recipients = {"list_id": list_id(campaign), "list_is_active": True, "list_name": campaign.name}
    sender = campaign.sender_email.partition("@")[0]
    settings = {"title": campaign.name, "from_name": sender, "reply_to": campaign.sender_email}
    return {"recipients": recipients, "settings": settings, "tracking": {"opens": True}, "_links": []}


def _size(world: World) -> tuple[Any, ...]:
    email = world.email
    counted = (email.campaigns, email.recipients, email.events, email.leads)
    return (world.now, *(len(records) for records in counted))
