"""How long leads wait for somebody to answer, in business hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from sandbox.ledger.arithmetic import Period, median
from sandbox.world import Contact, World

OPENS, CLOSES, WORKDAYS = time(9), time(17), 5
LIMIT = timedelta(minutes=60)
STAGES = ("lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer")
Pair = tuple[Decimal | None, Decimal | None]


def business_time(start: datetime, end: datetime) -> timedelta:
    """What of a span of time lies in business hours."""
    total, day = timedelta(), start.astimezone(UTC).date()
    while day <= end.astimezone(UTC).date():
        if day.weekday() < WORKDAYS:
            opens, closes = (datetime.combine(day, hour, UTC) for hour in (OPENS, CLOSES))
            total += max(timedelta(), min(end, closes) - max(start, opens))
        day += timedelta(days=1)
    return total


@dataclass(frozen=True)
class Lead:
    """A person who became a lead and was not deleted."""

    created_at: datetime
    team: str | None
    waited: timedelta  # until answered, or until now
    answered: bool


def leads(world: World) -> list[Lead]:
    """All of them."""
    calls: dict[str, list[datetime]] = defaultdict(list)
    for activity in world.crm.activities:
        if activity.direction == "outbound" and not activity.is_automated and activity.archived_at is None:
            calls[activity.contact_id or ""].append(activity.occurred_at)
    teams = {owner.id: owner.team for owner in world.crm.owners}
    found = []
    for contact in world.crm.contacts:
        created = _became_lead(contact)
        if created is None or contact.archived_at is not None:
            continue
        times = [*calls[contact.id], *filter(None, [contact.first_response_at])]
        began = _minute(created)
        answers = [_minute(at) for at in times if at >= began]
        waited = business_time(began, _minute(min(answers, default=world.now)))
        found.append(Lead(created, teams.get(contact.owner_id or ""), waited, bool(answers)))
    return found


def _minute(at: datetime) -> datetime:
    """By the clock: some CRMs keep no seconds."""
    return at.replace(second=0, microsecond=0)


def _became_lead(contact: Contact) -> datetime | None:
    stages = contact.history.get("lifecycle_stage", [])
    return min((since for since, stage in stages if stage in STAGES), default=None)


def lead_rows(found: list[Lead], period: Period) -> Iterator[tuple[str, str, dict[str, Pair]]]:
    """Segment, which one, and its KPIs."""
    groups: dict[tuple[str, str], list[Lead]] = defaultdict(list)
    for lead in found:
        if period.holds(lead.created_at):
            groups["all", "all"].append(lead)
            if lead.team:
                groups["team", lead.team].append(lead)
    for (segment, value), some in groups.items():
        missed = sum(1 for lead in some if lead.waited > LIMIT)
        judged = sum(1 for lead in some if lead.answered or lead.waited > LIMIT)
        minutes = [int(lead.waited.total_seconds() // 60) for lead in some if lead.answered]
        yield (
            *(segment, value),
            {
                "speed_to_lead_minutes": (median(minutes), Decimal(1)),
                "lead_sla_miss_rate": (Decimal(missed), Decimal(judged)),
            },
        )
