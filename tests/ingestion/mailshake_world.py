"""A hand-built e-mail silo: more than a page of messages, and one of every reaction."""

from datetime import UTC, datetime, timedelta

from sandbox.world import Campaign, EmailEvent, EmailLead, Recipient, TeamMember, World

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)
RECIPIENTS = 120


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def event(world: World, recipient: int, kind: str, at: datetime, **more: object) -> EmailEvent:
    """Append an event; ids go up as Mailshake's do."""
    found = EmailEvent(
        id=str(50_001 + len(world.email.events)),
        campaign_id="101",
        recipient_id=str(recipient),
        message_id="201",
        email=f"p{recipient}@globex.test",
        event_type=kind,
        occurred_at=at,
        **more,  # type: ignore[arg-type]
    )
    world.email.events.append(found)
    return found


def recipient(key: int, campaign: str, at: datetime) -> Recipient:
    return Recipient(str(key), campaign, f"p{key}@globex.test", "Pat", f"No{key}", "Globex", "active", at, at)


def lead(key: str, person: int, at: datetime) -> EmailLead:
    return EmailLead(key, "101", str(person), f"p{person}@globex.test", "open", "sue@acme.test", at, at)


def build() -> World:
    world = World(1, 1, START, NOW, "USD")
    email = world.email
    email.team = [
        TeamMember(str(n), f"{name}@acme.test", name, "Doe", START) for n, name in ((1, "sue"), (2, "bob"))
    ]
    email.campaigns = [
        Campaign("101", "Spring", "outbound", "sue@acme.test", "sue@acme.test", START, ["201", "202"]),
        Campaign("102", "Old", "outbound", "gone@acme.test", "sue@acme.test", START, ["203"], minute(50)),
    ]
    for place in range(RECIPIENTS):
        email.recipients.append(recipient(1000 + place, "101", minute(place)))
        event(world, 1000 + place, "sent", minute(200 + place))
    email.recipients.append(recipient(2000, "102", minute(10)))
    event(world, 1000, "open", minute(200.5), is_machine=True)
    event(world, 1001, "open", minute(260))
    event(world, 1001, "open", minute(270))
    event(world, 1001, "click", minute(271), link="https://acme.test/a")
    event(world, 1002, "reply", minute(300))
    event(world, 1003, "reply", minute(301), is_machine=True)
    event(world, 1004, "bounce", minute(302), bounce_type="hard")
    event(world, 1005, "bounce", minute(303), bounce_type="soft")
    event(world, 1006, "unsubscribe", minute(304))
    email.leads.append(lead("301", 1002, minute(310)))
    return world
