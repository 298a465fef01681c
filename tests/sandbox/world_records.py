"""Walking through a simulated world's records and the instants in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from sandbox.world import World


def records(world: World) -> Iterator[tuple[str, Any]]:
    """Every record with the name of its list."""
    for silo in (world.crm, world.email, world.billing, world.finance):
        for name, found in vars(silo).items():
            for record in found:
                yield name, record


def moments(value: Any) -> Iterator[datetime]:
    """Every instant in a record that tells what happened (not what is still to come)."""
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from moments(part)
    elif isinstance(value, dict):
        yield from moments(list(value.values()))
    elif is_dataclass(value):
        ahead = {"current_period_end", "period_end", "cancel_at", "ends_at", "due_at", "trial_end"}
        for field in fields(value):
            if field.name not in ahead:
                yield from moments(getattr(value, field.name))


def key_of(record: Any) -> Any:
    """What tells a record from the others of its list."""
    return getattr(record, "id", None) or (record.rate_date, record.currency)


def born(record: Any) -> Any:
    """When a record was made, if it says."""
    names = ("created_at", "added_at", "occurred_at", "attempted_at", "starts_at", "submitted_at")
    return next((getattr(record, name) for name in names if hasattr(record, name)), None)
