"""The sandbox's CRM records as Pipedrive shows them: API v2 objects, API v1 users, notes and participants.

Won and lost are no stages in Pipedrive: a closed deal stays in the stage it was closed in and has a status.
A deal without an amount has the value 0. What a call or an e-mail was is said by the activity's type, of
which an account makes its own: `inbound_call`, `inbound_email`, `sequence_email`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.api.pipedrive_fields import DEAL, ORGANIZATION, PERSON, Json, stamp, values
from sandbox.world import Activity, Company, Contact, Deal, Owner, Stage, World

#: How long deleted records can still be read.
KEPT = timedelta(days=30)


def v1_stamp(moment: datetime) -> str:
    """A time of API v1: UTC, without saying so."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def number(key: str | None) -> int | None:
    """An id as Pipedrive shows it."""
    return None if key is None else int(key)


def amount(value: Any) -> Any:
    """A deal's value; 0 where there is none. What is no amount (in a test) stays."""
    if value is None:
        return 0
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def entered(record: Any, attribute: str) -> list[tuple[datetime, Any]]:
    """A field's history; a field that never changed has its present value since creation."""
    found = record.history.get(attribute)
    if found:
        return list(found)
    value = getattr(record, attribute)
    return [] if value is None else [(record.created_at, value)]


class Stages:
    """The numbers of pipelines and of those stages that are stages in Pipedrive too."""

    def __init__(self, world: World) -> None:
        self.of_world = {(stage.pipeline, stage.id): stage for stage in world.crm.stages}
        self.open = [stage for stage in world.crm.stages if stage.outcome == "open"]
        self.pipelines = list(dict.fromkeys(stage.pipeline for stage in world.crm.stages))

    def pipeline_id(self, name: str) -> int:
        """The number of a pipeline."""
        return self.pipelines.index(name) + 1

    def stage_id(self, pipeline: str, key: str) -> int:
        """The number of an open stage."""
        return self.open.index(self.of_world[(pipeline, key)]) + 1

    def outcome(self, pipeline: str, key: str) -> str:
        """What being in a stage of the world means for a deal's status."""
        return self.of_world[(pipeline, key)].outcome

    def closing(self, pipeline: str, outcome: str) -> str:
        """The stage of the world that a deal of that status is in."""
        return next(s.id for s in self.of_world.values() if (s.pipeline, s.outcome) == (pipeline, outcome))

    def standing(self, deal: Deal) -> str:
        """The open stage a deal is in, or was closed in."""
        been = [k for _, k in entered(deal, "stage") if self.outcome(deal.pipeline, k) == "open"]
        return been[-1] if been else next(s.id for s in self.open if s.pipeline == deal.pipeline)


def expected(stages: Stages, deal: Deal) -> list[tuple[datetime, Any]]:
    """The expected close dates of a deal: closing it changes none."""
    closed = {at for at, key in entered(deal, "stage") if stages.outcome(deal.pipeline, key) != "open"}
    found = entered(deal, "close_date")
    return [(at, day) for at, day in found if at not in closed or (at, day) == found[0]]


def deal(world: World, stages: Stages, record: Deal, live: set[str], keys: list[str]) -> Json:
    """A deal of API v2."""
    outcome = stages.outcome(record.pipeline, record.stage)
    days = expected(stages, record)
    people = [key for key in record.contact_ids if key in live]
    first = record.contact_ids[0] if record.contact_ids and record.contact_ids[0] in live else None
    closed = stamp(record.closed_at)
    return {
        "id": int(record.id),
        "title": record.name,
        "creator_user_id": number(record.owner_id),
        "owner_id": number(record.owner_id),
        "person_id": number(first),
        "org_id": number(record.company_id),
        "pipeline_id": stages.pipeline_id(record.pipeline),
        "stage_id": stages.stage_id(record.pipeline, stages.standing(record)),
        "value": amount(record.amount),
        "currency": record.currency,
        "add_time": stamp(record.created_at),
        "update_time": stamp(record.updated_at),
        "stage_change_time": stamp(entered(record, "stage")[-1][0]),
        "is_deleted": record.archived_at is not None,
        "is_archived": False,
        "status": "deleted" if record.archived_at is not None else outcome,
        "probability": None,
        "lost_reason": record.lost_reason if outcome == "lost" else None,
        "visible_to": 3,
        "close_time": closed,
        "won_time": closed if outcome == "won" else None,
        "lost_time": closed if outcome == "lost" else None,
        "expected_close_date": days[-1][1].isoformat() if days and days[-1][1] else None,
        "label_ids": [],
        "origin": "ManuallyCreated",
        "participants_count": len(people),
        "custom_fields": values(world, DEAL, record, keys),
    }


def person(world: World, record: Contact, keys: list[str]) -> Json:
    """A person of API v2."""
    mails = [{"value": record.email, "primary": True, "label": "work"}] if record.email else []
    return {
        "id": int(record.id),
        "name": f"{record.first_name} {record.last_name}",
        "first_name": record.first_name,
        "last_name": record.last_name,
        "owner_id": number(record.owner_id),
        "org_id": number(record.company_id),
        "add_time": stamp(record.created_at),
        "update_time": stamp(record.updated_at),
        "emails": mails,
        "phones": [],
        "is_deleted": record.archived_at is not None,
        "visible_to": 3,
        "label_ids": [],
        "picture_id": None,
        "custom_fields": values(world, PERSON, record, keys),
    }


def organization(world: World, record: Company, keys: list[str]) -> Json:
    """An organization of API v2."""
    return {
        "id": int(record.id),
        "name": record.name,
        "owner_id": number(record.owner_id),
        "add_time": stamp(record.created_at),
        "update_time": stamp(record.updated_at),
        "is_deleted": record.archived_at is not None,
        "visible_to": 3,
        "address": None,
        "label_ids": [],
        "custom_fields": values(world, ORGANIZATION, record, keys),
    }


def activity_type(record: Activity) -> str:
    """The account's name for that kind of activity."""
    if record.is_automated:
        return f"sequence_{record.activity_type}"
    return f"inbound_{record.activity_type}" if record.direction == "inbound" else record.activity_type


def activity(record: Activity) -> Json:
    """An activity of API v2; people plan by the minute."""
    return {
        "id": int(record.id),
        "subject": activity_type(record).replace("_", " ").capitalize(),
        "type": activity_type(record),
        "owner_id": number(record.owner_id),
        "creator_user_id": number(record.owner_id),
        "is_deleted": record.archived_at is not None,
        "add_time": stamp(record.created_at),
        "update_time": stamp(record.updated_at),
        "deal_id": number(record.deal_id),
        "lead_id": None,
        "person_id": number(record.contact_id),
        "org_id": number(record.company_id),
        "project_id": None,
        "due_date": record.occurred_at.date().isoformat(),
        "due_time": record.occurred_at.strftime("%H:%M:00"),
        "duration": "00:30:00",
        "busy": False,
        "done": True,
        "marked_as_done_time": stamp(record.occurred_at),
        "participants": [{"person_id": number(record.contact_id), "primary": True}],
        "priority": None,
        "note": None,
    }


def note(record: Activity) -> Json:
    """A note of API v1."""
    return {
        "id": int(record.id),
        "user_id": number(record.owner_id),
        "deal_id": number(record.deal_id),
        "person_id": number(record.contact_id),
        "org_id": number(record.company_id),
        "lead_id": None,
        "content": "",
        "add_time": v1_stamp(record.occurred_at),
        "update_time": v1_stamp(record.updated_at),
        "active_flag": True,
        "pinned_to_deal_flag": False,
        "last_update_user_id": None,
    }


def participant(place: int, record: Deal, who: Contact) -> Json:
    """A participant of a deal, of API v1."""
    mails = [{"value": who.email, "primary": True, "label": "work"}] if who.email else []
    name = f"{who.first_name} {who.last_name}"
    return {
        "id": int(record.id) * 10 + place,
        "person_id": {"active_flag": True, "name": name, "email": mails, "value": int(who.id)},
        "add_time": v1_stamp(record.created_at),
        "active_flag": True,
        "related_item_data": {"deal_id": int(record.id), "title": record.name},
    }


def user(found: Owner) -> Json:
    """A user of API v1."""
    return {
        "id": int(found.id),
        "name": f"{found.first_name} {found.last_name}",
        "email": found.email,
        "active_flag": found.is_active,
        "role_id": _numbered(f"role {found.role}"),
        "created": v1_stamp(found.created_at),
        "modified": v1_stamp(found.updated_at),
        "last_login": "0000-00-00 00:00:00",
        "is_deleted": False,
    }


def roles(world: World) -> list[Json]:
    """Roles of API v1."""
    names = sorted({owner.role for owner in world.crm.owners})
    return [
        {"id": _numbered(f"role {name}"), "name": name.upper(), "parent_role_id": None, "active_flag": True}
        for name in names
    ]


def teams(world: World) -> list[Json]:
    """Teams of API v1. A region is a team too: the account's way to keep it on a user."""
    members: dict[str, list[int]] = {}
    for owner in world.crm.owners:
        for name in (owner.team, f"Region: {owner.region}"):
            members.setdefault(name, []).append(int(owner.id))
    return [
        {"id": _numbered(f"team {name}"), "name": name, "description": None, "manager_id": None}
        | {"users": users, "active_flag": 1, "deleted_flag": 0, "add_time": v1_stamp(world.start)}
        for name, users in sorted(members.items())
    ]


def pipelines(world: World, stages: Stages) -> list[Json]:
    """Pipelines of API v2."""
    born = stamp(world.start)
    return [
        {"id": place, "name": name, "order_nr": place, "is_deleted": False}
        | {"is_deal_probability_enabled": True, "add_time": born, "update_time": born}
        for place, name in enumerate(stages.pipelines, 1)
    ]


def stage(world: World, stages: Stages, found: Stage) -> Json:
    """A stage of API v2; probabilities are per cent."""
    return {
        "id": stages.stage_id(found.pipeline, found.id),
        "order_nr": found.position + 1,
        "name": found.label,
        "is_deleted": False,
        "deal_probability": int(found.probability * 100),
        "pipeline_id": stages.pipeline_id(found.pipeline),
        "is_deal_rot_enabled": False,
        "days_to_rotten": None,
        "add_time": stamp(world.start),
        "update_time": stamp(world.start),
    }


def _numbered(name: str) -> int:
    return int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:6], 16)
