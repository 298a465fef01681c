"""Field history of the sandbox's leads and opportunities, and values as Salesforce writes them.

Salesforce keeps the changes of a field, not its first value, and for 24 months through the API. A change of
owner is two rows, one with names and one with ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sandbox.world import Contact, World

KEPT = timedelta(days=731)
FORECASTS = {
    "pipeline": "Pipeline",
    "best_case": "Best Case",
    "commit": "Commit",
    "closed": "Closed",
    "omitted": "Omitted",
}
LEAD_STATUSES = {
    "lead": "Open - Not Contacted",
    "marketingqualifiedlead": "MQL",
    "salesqualifiedlead": "SQL",
    "opportunity": "Closed - Converted",
    "customer": "Closed - Converted",
    "other": "Closed - Converted",
}
CONVERTED = ("opportunity", "customer")
#: A deal's field -> its name at Salesforce.
TRACKED = {
    "stage": "StageName",
    "amount": "Amount",
    "close_date": "CloseDate",
    "owner_id": "Owner",
    "forecast_category": "ForecastCategoryName",
}


@dataclass(frozen=True)
class Change:
    """A row of a history object."""

    id: str
    parent_id: str
    field: str
    old: Any
    new: Any
    at: datetime
    is_deleted: bool


def wording(value: Any) -> Any:
    """A value as JSON has it: times in UTC to the second, numbers without a type of their own."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def stages(person: Contact) -> list[tuple[datetime, str]]:
    """A person's lifecycle stages."""
    return person.history.get("lifecycle_stage") or [(person.created_at, person.lifecycle_stage)]


def lead_since(person: Contact) -> datetime | None:
    """When a person became a lead; None for who never was one."""
    return next(
        (since for since, stage in stages(person) if stage in LEAD_STATUSES and stage != "other"), None
    )


def converted_at(person: Contact) -> datetime | None:
    """When the lead was converted."""
    return next((since for since, stage in stages(person) if stage in CONVERTED), None)


def reached(person: Contact, stage: str) -> datetime | None:
    """When a person first got to a stage."""
    return next((since for since, its in stages(person) if its == stage), None)


def lead_changes(world: World) -> list[Change]:
    """Changes of leads' status, and conversions."""
    found = []
    for person in world.crm.contacts:
        gone, converted = person.archived_at is not None, converted_at(person)
        seen = [(since, LEAD_STATUSES[its]) for since, its in stages(person) if its in LEAD_STATUSES]
        for place, ((_, old), (since, new)) in enumerate(pairwise(seen)):
            if old != new:
                key = f"017L{person.id}S{place:03d}"
                found.append(Change(key, person.id, "Status", old, new, since, gone))
        if converted:
            key = f"017L{person.id}C"
            found.append(Change(key, person.id, "leadConverted", None, None, converted, gone))
    return _kept(world, found)


def opportunity_changes(world: World) -> list[Change]:
    """Changes of opportunities' tracked fields."""
    names = {o.id: f"{o.first_name} {o.last_name}" for o in world.crm.owners}
    found = []
    for deal in world.crm.deals:
        gone = deal.archived_at is not None
        for attribute, name in TRACKED.items():
            for place, at, old, new in _steps(deal, attribute):
                key = f"017{deal.id}{name[0]}{place:03d}"
                if attribute == "owner_id":
                    shown = (names.get(old), names.get(new))
                    found.append(Change(f"{key}N", deal.id, name, *shown, at, gone))
                found.append(Change(key, deal.id, name, old, new, at, gone))
    return _kept(world, found)


def _steps(deal: Any, attribute: str) -> Iterator[tuple[int, datetime, Any, Any]]:
    """Place, time, old and new value of every change; what was set at creation is none."""
    old = None
    for place, (at, value) in enumerate(deal.history.get(attribute, [])):
        new = FORECASTS.get(value, value) if attribute == "forecast_category" else value
        if place or at != deal.created_at:
            yield place, at, wording(old), wording(new)
        old = new


def _kept(world: World, changes: list[Change]) -> list[Change]:
    return [change for change in changes if change.at >= world.now - KEPT]
