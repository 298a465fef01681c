"""What may be changed in the sandbox's Pipedrive account, and a deal's flow, which tells of the changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sandbox.api import pipedrive_fields as fields
from sandbox.api.pipedrive_shapes import Json, Stages, amount, entered, expected, v1_stamp
from sandbox.world import Deal, World

Parse = Callable[[Any], Any]


def _key(given: Any) -> str | None:
    return None if given is None else str(given)


def _same(given: Any) -> Any:
    return given


#: Entity -> field -> (attribute, how what is given is read).
WRITABLE: dict[str, dict[str, tuple[str, Parse]]] = {
    "deals": {
        "title": ("name", _same),
        "owner_id": ("owner_id", _key),
        "org_id": ("company_id", _key),
        "value": ("amount", lambda given: Decimal(str(given)) if given else None),
        "currency": ("currency", _same),
        "expected_close_date": ("close_date", lambda given: date.fromisoformat(given) if given else None),
        "lost_reason": ("lost_reason", _same),
    },
    "persons": {"owner_id": ("owner_id", _key), "org_id": ("company_id", _key)},
    "organizations": {"name": ("name", _same), "owner_id": ("owner_id", _key)},
    "activities": {"owner_id": ("owner_id", _key), "deal_id": ("deal_id", _key)},
}


def change(kind: str, stages: Stages, record: Any, given: Json, at: datetime) -> str | None:
    """Set fields as a PATCH does, with history; the name of one that cannot be set, or None."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name == "custom_fields":
            for key, own in value.items():
                found = fields.parsed(key, own)
                if found is None:
                    return key
                values[found[0]] = found[1]
        elif kind == "deals" and name == "stage_id" and 1 <= value <= len(stages.open):
            values["stage"] = stages.open[value - 1].id
        elif kind == "deals" and name == "status" and value in ("open", "won", "lost"):
            closing = value != "open"
            values["stage"] = stages.closing(record.pipeline, value) if closing else stages.standing(record)
            values["closed_at"] = at if closing else None
        elif name in WRITABLE[kind]:
            attribute, parse = WRITABLE[kind][name]
            values[attribute] = parse(value)
        else:
            return name
    for attribute, value in values.items():
        if hasattr(record, "history") and attribute != "closed_at":
            record.history[attribute] = [*entered(record, attribute), (at, value)]
        setattr(record, attribute, value)
    record.updated_at = at
    return None


def merge(world: World, kind: str, loser: Any, winner: Any, at: datetime) -> None:
    """Put one record into another: what belongs to the one belongs to the other, and the one is no more."""
    crm = world.crm
    loser.archived_at = loser.updated_at = winner.updated_at = at
    if kind == "deals":
        return
    loser.merged_into = winner.id
    if kind == "organizations":
        held: list[Any] = [*crm.contacts, *crm.deals, *crm.activities]
        for record in held:
            if record.company_id == loser.id:
                record.company_id = winner.id
                record.updated_at = at
        return
    for activity in crm.activities:
        if activity.contact_id == loser.id:
            activity.contact_id, activity.updated_at = winner.id, at
    for deal in crm.deals:
        if loser.id in deal.contact_ids:
            people = [winner.id if key == loser.id else key for key in deal.contact_ids]
            deal.contact_ids, deal.updated_at = list(dict.fromkeys(people)), at


def flow(stages: Stages, deal: Deal) -> list[Json]:
    """The changes of a deal, newest first. What it was created with is no change."""
    found = [
        *_stages(stages, deal),
        *_changes("value", [(at, amount(v)) for at, v in _since_birth(deal, "amount")]),
        *_changes(
            "expected_close_date", [(at, d.isoformat() if d else None) for at, d in expected(stages, deal)]
        ),
        *_changes("user_id", [(at, int(v) if v else None) for at, v in entered(deal, "owner_id")]),
        *_changes(fields.FORECAST.key, _forecasts(deal)),
    ]
    shown = [
        {
            "object": "dealChange",
            "timestamp": v1_stamp(at),
            "data": {
                "id": int(deal.id) * 1000 + place,
                "item_id": int(deal.id),
                "user_id": int(deal.owner_id) if deal.owner_id else None,
                "field_key": key,
                "old_value": old,
                "new_value": new,
                "is_bulk_update_flag": None,
                "log_time": v1_stamp(at),
                "change_source": "app",
                "change_source_user_agent": None,
                "additional_data": [],
            },
        }
        for place, (at, key, old, new) in enumerate(sorted(found, key=lambda change: change[0]))
    ]
    return shown[::-1]


Change = tuple[datetime, str, Any, Any]


def _stages(stages: Stages, deal: Deal) -> list[Change]:
    """Moves between stages, and closings, which are changes of the status."""
    found: list[Change] = []
    status, place = "open", None
    for at, key in entered(deal, "stage"):
        now = stages.outcome(deal.pipeline, key)
        stands = stages.stage_id(deal.pipeline, key) if now == "open" else place
        if at > deal.created_at and now != status:
            found.append((at, "status", status, now))
        if at > deal.created_at and place is not None and stands != place:
            found.append((at, "stage_id", place, stands))
        status, place = now, stands
    return found


def _since_birth(deal: Deal, attribute: str) -> list[tuple[datetime, Any]]:
    """A field's history with the nothing it began with, if it did."""
    found = entered(deal, attribute)
    return found if found and found[0][0] <= deal.created_at else [(deal.created_at, None), *found]


def _forecasts(deal: Deal) -> list[tuple[datetime, Any]]:
    return [(at, str(fields.option_id(fields.FORECAST, v))) for at, v in entered(deal, "forecast_category")]


def _changes(key: str, history: list[tuple[datetime, Any]]) -> list[Change]:
    return [(at, key, old, new) for (_, old), (at, new) in pairwise(history) if old != new]
