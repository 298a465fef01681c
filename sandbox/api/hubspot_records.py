"""The sandbox's CRM records as HubSpot objects: properties (always text), history, filters and changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.world import Owner, World

TYPES = ("companies", "contacts", "deals", "calls", "emails", "meetings", "notes", "tasks")
ACTIVITIES = {"calls": "call", "emails": "email", "meetings": "meeting", "notes": "note", "tasks": "task"}
FORECASTS = {
    "pipeline": "PIPELINE",
    "best_case": "BEST_CASE",
    "commit": "COMMIT",
    "closed": "CLOSED",
    "omitted": "OMIT",
}
DEAL_TYPES = {"new_business": "newbusiness", "expansion": "existingbusiness", "renewal": "existingbusiness"}
STAGES = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "other",
)


@dataclass(frozen=True)
class Property:
    """A HubSpot property over a field of the world; `parse` reads a PATCH, None where it is read-only."""

    attribute: str
    show: Callable[[Any], str | None]
    parse: Callable[[str], Any] | None = None


def stamp(moment: datetime) -> str:
    """A time as HubSpot writes it: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _show(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _same(attribute: str) -> Property:
    return Property(attribute, _show, lambda text: text or None)


def _read_only(attribute: str) -> Property:
    return Property(attribute, _show)


def _mapped(attribute: str, names: dict[str, str]) -> Property:
    back = {shown: name for name, shown in names.items()}
    return Property(
        attribute, lambda v: None if v is None else names.get(v, v), lambda text: back.get(text, text)
    )


def _money(attribute: str) -> Property:
    return Property(attribute, _show, lambda text: Decimal(text) if text else None)


MERGED = Property("merged_ids", lambda ids: ";".join(ids) or None)
COMMON = {
    "hs_object_id": _read_only("id"),
    "hubspot_owner_id": _same("owner_id"),
}

PROPERTIES: dict[str, dict[str, Property]] = {
    "companies": COMMON
    | {
        "name": _same("name"),
        "domain": _same("domain"),
        "country": _same("country"),
        "industry": _same("industry"),
        "numberofemployees": Property("employee_count", _show, lambda text: int(text) if text else None),
        "annualrevenue": _money("annual_revenue"),
        "lifecyclestage": _same("lifecycle_stage"),
        "hs_parent_company_id": _same("parent_id"),
        "tax_id": _same("tax_id"),
        "stripe_customer_id": _same("billing_customer_id"),
        "hs_merged_object_ids": MERGED,
        "createdate": _read_only("created_at"),
        "hs_lastmodifieddate": _read_only("updated_at"),
    },
    "contacts": COMMON
    | {
        "email": _same("email"),
        "firstname": _same("first_name"),
        "lastname": _same("last_name"),
        "jobtitle": _same("job_title"),
        "associatedcompanyid": _same("company_id"),
        "lifecyclestage": _same("lifecycle_stage"),
        "lead_source": _same("lead_source"),
        "email_campaign_id": _same("campaign_id"),
        "hs_email_optout": Property("email_opt_out", _show, lambda text: text == "true"),
        "hs_sa_first_engagement_date": _read_only("first_response_at"),
        "hs_merged_object_ids": MERGED,
        "createdate": _read_only("created_at"),
        "lastmodifieddate": _read_only("updated_at"),
    },
    "deals": COMMON
    | {
        "dealname": _same("name"),
        "amount": _money("amount"),
        "deal_currency_code": _same("currency"),
        "closedate": Property(
            "close_date", _show, lambda text: date.fromisoformat(text[:10]) if text else None
        ),
        "dealstage": _same("stage"),
        "pipeline": _same("pipeline"),
        "dealtype": Property("deal_type", lambda v: DEAL_TYPES.get(v)),
        "opportunity_type": _same("deal_type"),
        "product": _same("product"),
        "lead_source": _same("lead_source"),
        "email_campaign_id": _same("campaign_id"),
        "hs_manual_forecast_category": _mapped("forecast_category", FORECASTS),
        "closed_lost_reason": _same("lost_reason"),
        "stripe_subscription_id": _same("billing_subscription_id"),
        "createdate": _read_only("created_at"),
        "hs_lastmodifieddate": _read_only("updated_at"),
    },
}
for _kind in ACTIVITIES:
    PROPERTIES[_kind] = COMMON | {
        "hs_timestamp": _read_only("occurred_at"),
        "hs_createdate": _read_only("created_at"),
        "hs_lastmodifieddate": _read_only("updated_at"),
        "hs_object_source": Property("is_automated", lambda v: "SEQUENCES" if v else "CRM_UI"),
    }
PROPERTIES["calls"]["hs_call_direction"] = Property("direction", lambda v: v.upper() if v else None)
PROPERTIES["emails"]["hs_email_direction"] = Property(
    "direction", lambda v: None if v is None else "INCOMING_EMAIL" if v == "inbound" else "EMAIL"
)

#: What HubSpot returns when no properties are asked for.
DEFAULTS = {
    "companies": ["createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"],
    "contacts": ["createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"],
    "deals": [
        *("amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate"),
        *("hs_object_id", "pipeline"),
    ],
}
OWN_DEFAULTS = ["hs_createdate", "hs_lastmodifieddate", "hs_object_id"]


def of_type(world: World, kind: str) -> list[Any]:
    """All records of an object type, archived ones included; what was merged into another is not listed."""
    crm = world.crm
    if kind in ACTIVITIES:
        return [a for a in crm.activities if a.activity_type == ACTIVITIES[kind]]
    found: dict[str, list[Any]] = {"companies": crm.companies, "contacts": crm.contacts}
    return [r for r in found[kind] if r.merged_into is None] if kind in found else crm.deals


def size_of(world: World, kind: str) -> int:
    """How many records an object type's list is made of; it changes when some are added or merged."""
    return len(world.crm.activities) if kind in ACTIVITIES else len(of_type(world, kind))


def merge(world: World, kind: str, primary: Any, other: Any) -> None:
    """Let a company or contact be one with another, which has its id and what belongs to it from now on."""
    now = just_before(world)
    other.archived_at, other.merged_into = now, primary.id
    primary.merged_ids += [other.id, *other.merged_ids]
    primary.updated_at = now
    link = "company_id" if kind == "companies" else "contact_id"
    for found in (world.crm.contacts if kind == "companies" else [], world.crm.deals, world.crm.activities):
        for record in found:
            if getattr(record, link, None) == other.id:
                setattr(record, link, primary.id)
                record.updated_at = now
    for deal in world.crm.deals if kind == "contacts" else []:
        renamed = [primary.id if key == other.id else key for key in deal.contact_ids]
        deal.contact_ids = list(dict.fromkeys(renamed))


def property_of(kind: str, record: Any, name: str) -> str | None:
    """The present value of a property; None if it has none (or does not exist, as at HubSpot)."""
    if kind == "contacts" and name.startswith("hs_lifecyclestage_") and name.endswith("_date"):
        stage = name.removeprefix("hs_lifecyclestage_").removesuffix("_date")
        reached = [since for since, value in _changes(record, "lifecycle_stage") if value == stage]
        return stamp(reached[0]) if reached else None
    known = PROPERTIES[kind].get(name)
    return known.show(getattr(record, known.attribute)) if known else None


def rendered(kind: str, record: Any, names: list[str], history: list[str]) -> dict[str, Any]:
    """A record as an object endpoint shows it."""
    asked = dict.fromkeys([*DEFAULTS.get(kind, OWN_DEFAULTS), *names, *history])
    body: dict[str, Any] = {
        "id": record.id,
        "properties": {name: property_of(kind, record, name) for name in asked},
        "createdAt": stamp(record.created_at),
        "updatedAt": stamp(record.updated_at),
        "archived": record.archived_at is not None,
    }
    if record.archived_at is not None:
        body["archivedAt"] = stamp(record.archived_at)
    if history:
        body["propertiesWithHistory"] = {name: _history(kind, record, name) for name in history}
    return body


def _history(kind: str, record: Any, name: str) -> list[dict[str, Any]]:
    """Every value a property had, newest first."""
    known = PROPERTIES[kind].get(name)
    if known is None:
        return []
    return [
        {"value": known.show(value) or "", "timestamp": stamp(since), "sourceType": "CRM_UI"}
        for since, value in reversed(_changes(record, known.attribute))
    ]


def _changes(record: Any, attribute: str) -> list[tuple[datetime, Any]]:
    """A field's history; a field that never changed has its present value since creation."""
    found = record.history.get(attribute)
    if found:
        return list(found)
    value = getattr(record, attribute)
    return [] if value is None else [(record.created_at, value)]


def comparable(value: str | None) -> float | str | None:
    """A property value as search compares it: times and numbers as numbers, the rest as text."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).timestamp() * 1000
    except ValueError:
        return value.lower()


def rank(kind: str, record: Any, name: str) -> float | str | None:
    """A property as search compares it, without writing and reading a time or an id as text."""
    known = PROPERTIES[kind].get(name)
    value = getattr(record, known.attribute) if known else None
    if isinstance(value, datetime):
        return float(int(value.timestamp() * 1000))
    return comparable(property_of(kind, record, name))


def matches(kind: str, record: Any, groups: list[dict[str, Any]]) -> bool:
    """Whether a record passes any of the filter groups (all filters of it)."""
    if not groups:
        return True
    return any(all(_passes(kind, record, f) for f in group.get("filters", [])) for group in groups)


def _passes(kind: str, record: Any, asked: dict[str, Any]) -> bool:
    held = rank(kind, record, asked["propertyName"])
    operator = asked["operator"]
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return (held is not None) == (operator == "HAS_PROPERTY")
    if operator in ("IN", "NOT_IN"):
        return (held in [comparable(str(v)) for v in asked["values"]]) == (operator == "IN")
    if held is None:
        return operator == "NEQ"
    value = comparable(str(asked["value"]))
    if operator in ("EQ", "NEQ"):
        return (held == value) == (operator == "EQ")
    if value is None or isinstance(held, str) != isinstance(value, str):
        return False
    if operator == "BETWEEN":
        high = comparable(str(asked["highValue"]))
        return value <= held <= high  # type: ignore[operator]
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "GTE": lambda a, b: a >= b,
        "GT": lambda a, b: a > b,
        "LTE": lambda a, b: a <= b,
        "LT": lambda a, b: a < b,
    }
    return compare[operator](held, value) if operator in compare else False


def change(world: World, kind: str, record: Any, values: dict[str, Any], at: datetime | None) -> str | None:
    """Set properties as a PATCH does, with history; the name of one that cannot be set, or None."""
    known = PROPERTIES[kind]
    for name in values:
        if name not in known or known[name].parse is None:
            return name
    moment = at or just_before(world)
    for name, text in values.items():
        parse = known[name].parse
        value = parse("" if text is None else str(text)) if parse else None
        attribute = known[name].attribute
        if hasattr(record, "history"):
            record.history[attribute] = [*_changes(record, attribute), (moment, value)]
        setattr(record, attribute, value)
        if kind == "deals" and attribute == "stage":
            closed = {s.id for s in world.crm.stages if s.outcome != "open"}
            record.closed_at = moment if value in closed else None
    record.updated_at = moment
    return None


def just_before(world: World) -> datetime:
    """The latest moment that has happened in the world, to the second."""
    return world.now - timedelta(seconds=1)


def owner(found: Owner) -> dict[str, Any]:
    """An owner. Region and role are secondary teams, the portal's way to keep them on a user."""
    return {
        "id": found.id,
        "email": found.email,
        "type": "PERSON",
        "firstName": found.first_name,
        "lastName": found.last_name,
        "userId": int(found.id),
        "createdAt": stamp(found.created_at),
        "updatedAt": stamp(found.updated_at),
        "archived": not found.is_active,
        "teams": [
            {"id": f"t-{found.team}", "name": found.team, "primary": True},
            {"id": f"r-{found.region}", "name": f"Region: {found.region}", "primary": False},
            {"id": f"o-{found.role}", "name": f"Role: {found.role}", "primary": False},
        ],
    }


def pipelines(world: World) -> list[dict[str, Any]]:
    """Deal pipelines with stages; HubSpot's metadata values are text."""
    born = stamp(world.start)
    shown: dict[str, dict[str, Any]] = {}
    for stage in world.crm.stages:
        pipeline = shown.setdefault(
            stage.pipeline,
            {"id": stage.pipeline, "label": stage.pipeline, "displayOrder": len(shown), "archived": False}
            | {"createdAt": born, "updatedAt": born, "stages": []},
        )
        pipeline["stages"].append(
            {
                "id": stage.id,
                "label": stage.label,
                "displayOrder": stage.position,
                "metadata": {
                    "isClosed": str(stage.outcome != "open").lower(),
                    "probability": str(stage.probability),
                },
                "createdAt": born,
                "updatedAt": born,
                "archived": False,
            }
        )
    return list(shown.values())
