"""The sandbox's e-mail records as Mailshake's objects, and the orders in which its lists give them."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from sandbox.world import Campaign, EmailEvent, EmailLead, Recipient, TeamMember, World

Json = dict[str, Any]

#: What Mailshake shows of a bounce is the mail server's answer.
BOUNCES = {
    "hard": "550 5.1.1 The email account that you tried to reach does not exist.",
    "soft": "452 4.2.2 The recipient's inbox is out of storage space.",
}


def moment(at: datetime | None) -> str | None:
    """A time as Mailshake writes it."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reply_type(event: EmailEvent) -> str:
    """Which kind of reply an event is to Mailshake."""
    if event.event_type == "reply":
        return "out-of-office" if event.is_machine else "reply"
    return event.event_type


class Index:
    """The e-mail tool's records in the order of its lists: newest first."""

    def __init__(self, world: World) -> None:
        email = world.email
        self.world = world
        self.size = _size(world)
        self.team = sorted(email.team, key=lambda m: (m.created_at, int(m.id)), reverse=True)
        self.campaigns = sorted(email.campaigns, key=lambda c: (c.created_at, int(c.id)), reverse=True)
        self.leads = sorted(email.leads, key=lambda x: (x.created_at, int(x.id)), reverse=True)
        self.campaign_by_id = {campaign.id: campaign for campaign in email.campaigns}
        self.recipient_by_id = {recipient.id: recipient for recipient in email.recipients}
        self.member_by_email = {member.email: member for member in email.team}
        self.recipients: dict[str, list[Recipient]] = defaultdict(list)
        for recipient in sorted(email.recipients, key=lambda r: (r.added_at, int(r.id)), reverse=True):
            self.recipients[recipient.campaign_id].append(recipient)
        self.activity: dict[str, list[EmailEvent]] = {"sent": [], "open": [], "click": [], "reply": []}
        self.sent: dict[tuple[str, str], EmailEvent] = {}
        seen: set[tuple[str, str, str, str | None]] = set()
        self.first: set[str] = set()
        for event in sorted(email.events, key=lambda e: (e.occurred_at, int(e.id))):
            kind = "reply" if event.event_type in ("bounce", "unsubscribe") else event.event_type
            self.activity[kind].append(event)
            if kind == "sent":
                self.sent.setdefault((event.recipient_id, event.message_id), event)
            again = (kind, event.recipient_id, event.message_id, event.link)
            if again not in seen:
                seen.add(again)
                self.first.add(event.id)
        for events in self.activity.values():
            events.reverse()

    def fits(self, world: World) -> bool:
        """Whether this is still an index of everything the world has."""
        return self.world is world and self.size == _size(world)

    def member(self, member: TeamMember) -> Json:
        """A user of the team."""
        return {
            **_person("user", member.id, member.email, member.first_name, member.last_name),
            "teamID": 1,
            "teamName": "Sandbox",
            "isTeamAdmin": member is self.world.email.team[0],
            "isDisabled": False,
            "teamBlockedDate": None,
        }

    def campaign(self, campaign: Campaign) -> Json:
        """A campaign with its messages and sender."""
        first = campaign.message_ids[0] if campaign.message_ids else None
        messages = [
            {
                "object": "message",
                "id": int(key),
                "type": "initial" if key == first else "follow-up",
                "subject": campaign.name if key == first else None,
                "replyToID": None if key == first else int(first or 0),
                "isPaused": False,
            }
            for key in campaign.message_ids
        ]
        sender = {
            "object": "sender",
            "id": f"sender-{campaign.sender_email}",
            "emailAddress": campaign.sender_email,
            "fromName": campaign.sender_email.partition("@")[0],
            "created": moment(campaign.created_at),
        }
        return {
            **_short(campaign),
            "archived": moment(campaign.archived_at),
            "isPaused": False,
            "messages": messages,
            "sender": sender,
            "url": f"https://mailshake.com/app/#/1/campaigns/{campaign.id}",
        }

    def recipient(self, recipient: Recipient) -> Json:
        """A recipient. Its state is not in the API; it follows from the activity."""
        shape = _person("recipient", recipient.id, recipient.email, recipient.first_name, recipient.last_name)
        fields = {"company": recipient.company_name} if recipient.company_name else {}
        return {**shape, "created": moment(recipient.added_at), "isPaused": False, "fields": fields}

    def lead(self, lead: EmailLead) -> Json:
        """A lead of Lead Catcher."""
        changed = lead.updated_at if lead.updated_at > lead.created_at else None
        owner = self.member_by_email.get(lead.assigned_to_email)
        assigned = owner and _person("user", owner.id, owner.email, owner.first_name, owner.last_name)
        return {
            "object": "lead",
            "id": int(lead.id),
            "created": moment(lead.created_at),
            "openedDate": moment(lead.created_at),
            "lastStatusChangeDate": moment(changed),
            "recipient": self.recipient(self.recipient_by_id[lead.recipient_id]),
            "campaign": _short(self.campaign_by_id[lead.campaign_id]),
            "status": lead.status,
            "assignedTo": assigned,
        }

    def event(self, event: EmailEvent) -> Json:
        """A sent message, an open, a click or a reply."""
        campaign = self.campaign_by_id[event.campaign_id]
        recipient = self.recipient(self.recipient_by_id[event.recipient_id])
        shape: Json = {
            "object": "sent-message" if event.event_type == "sent" else event.event_type,
            "id": int(event.id),
            "actionDate": moment(event.occurred_at),
            "recipient": recipient,
            "campaign": _short(campaign),
        }
        message = {
            "object": "message",
            "id": int(event.message_id),
            "type": "initial" if event.message_id == campaign.message_ids[0] else "follow-up",
        }
        if event.event_type == "sent":
            letter = _letter(campaign.name, "...")
            ends = {"from": _address(campaign.sender_email), "to": [_address(event.email)]}
            return {**shape, "type": "campaign-message", "message": message, **ends, **letter}
        sent = self.sent.get((event.recipient_id, event.message_id))
        parent = {"object": "sent-message", "id": int(sent.id) if sent else None, "type": "campaign-message"}
        shape["parent"] = {**parent, "message": message}
        if event.event_type in ("open", "click"):
            shape["isDuplicate"] = event.id not in self.first
            return shape if event.event_type == "open" else {**shape, "link": event.link}
        text = BOUNCES[event.bounce_type or "hard"] if event.event_type == "bounce" else "..."
        letter = _letter(f"Re: {campaign.name}", text)
        return {**shape, "object": "reply", "type": reply_type(event), **letter}


def _size(world: World) -> tuple[Any, ...]:
    email = world.email
    counts = (len(x) for x in (email.team, email.campaigns, email.recipients, email.events, email.leads))
    return (world.now, *counts)


def _short(campaign: Campaign) -> Json:
    created = moment(campaign.created_at)
    return {"object": "campaign", "id": int(campaign.id), "title": campaign.name, "created": created}


def _person(kind: str, key: str, email: str, first: str, last: str) -> Json:
    return {
        "object": kind,
        "id": int(key),
        "emailAddress": email,
        "fullName": f"{first} {last}",
        "first": first,
        "last": last,
    }


def _address(email: str) -> Json:
    return {"object": "email-address", "address": email, "fullName": None, "first": None, "last": None}


def _letter(subject: str, text: str) -> Json:
    outside = dict.fromkeys(("externalID", "externalRawMessageID", "externalConversationID"), "...")
    return {"subject": subject, **outside, "rawBody": text, "body": text, "plainTextBody": text}
