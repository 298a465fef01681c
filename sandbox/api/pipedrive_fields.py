"""The custom fields of the sandbox company's Pipedrive account: what it has no field for.

Each has a 40-character key and, if it is a choice, options with ids. Key and ids are made of the names, so
that they stay whatever the company lives through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.world import World

Json = dict[str, Any]


@dataclass(frozen=True)
class CustomField:
    """A field over an attribute of the world. `labels` are the options of a choice: value -> label."""

    entity: str
    name: str
    kind: str  # varchar | double | monetary | enum | org
    attribute: str
    labels: dict[str, str] | None = None
    parse: Callable[[Any], Any] | None = None  # of what a PATCH gives; None where it is written as it is

    @property
    def key(self) -> str:
        """The hash that Pipedrive knows the field by."""
        return hashlib.sha1(f"{self.entity}:{self.name}".encode(), usedforsecurity=False).hexdigest()


def option_id(field: CustomField, value: Any) -> int:
    """The id of an option."""
    return int(hashlib.sha1(f"{field.key}:{value}".encode(), usedforsecurity=False).hexdigest()[:6], 16)


def _yes(value: str) -> bool:
    return value == "yes"


STAGES = {
    "subscriber": "Subscriber",
    "lead": "Lead",
    "marketingqualifiedlead": "Marketing qualified lead",
    "salesqualifiedlead": "Sales qualified lead",
    "opportunity": "Opportunity",
    "customer": "Customer",
    "other": "Other",
}
REACHED = {
    "Became lead": "lead",
    "Became marketing qualified": "marketingqualifiedlead",
    "Became sales qualified": "salesqualifiedlead",
    "Became opportunity": "opportunity",
    "Became customer": "customer",
}
SOURCES = {name: name for name in ("outbound", "inbound", "referral", "event")}
PRODUCTS = {name: name for name in ("starter", "growth", "scale")}
KINDS = {"new_business": "New business", "expansion": "Expansion", "renewal": "Renewal"}
FORECASTS = {
    "pipeline": "Pipeline",
    "best_case": "Best case",
    "commit": "Commit",
    "closed": "Closed",
    "omitted": "Omitted",
}

ORGANIZATION, PERSON, DEAL = "organization", "person", "deal"
FIELDS = [
    CustomField(ORGANIZATION, "Website", "varchar", "domain"),
    CustomField(ORGANIZATION, "Country", "varchar", "country"),
    CustomField(ORGANIZATION, "Industry", "varchar", "industry"),
    CustomField(ORGANIZATION, "Number of employees", "double", "employee_count", parse=int),
    CustomField(
        ORGANIZATION, "Annual revenue", "monetary", "annual_revenue", parse=lambda given: Decimal(str(given))
    ),
    CustomField(ORGANIZATION, "Lifecycle stage", "enum", "lifecycle_stage", STAGES),
    CustomField(ORGANIZATION, "Parent organization", "org", "parent_id", parse=str),
    CustomField(ORGANIZATION, "Tax ID", "varchar", "tax_id"),
    CustomField(ORGANIZATION, "Billing customer ID", "varchar", "billing_customer_id"),
    CustomField(PERSON, "Job title", "varchar", "job_title"),
    CustomField(PERSON, "Lifecycle stage", "enum", "lifecycle_stage", STAGES),
    *[CustomField(PERSON, name, "varchar", f"reached:{stage}") for name, stage in REACHED.items()],
    CustomField(PERSON, "First response", "varchar", "first_response_at", parse=datetime.fromisoformat),
    CustomField(PERSON, "Lead source", "enum", "lead_source", SOURCES),
    CustomField(PERSON, "Email campaign ID", "varchar", "campaign_id"),
    CustomField(PERSON, "Email opt-out", "enum", "email_opt_out", {"yes": "Yes", "no": "No"}, _yes),
    CustomField(DEAL, "Opportunity type", "enum", "deal_type", KINDS),
    CustomField(DEAL, "Product", "enum", "product", PRODUCTS),
    CustomField(DEAL, "Lead source", "enum", "lead_source", SOURCES),
    CustomField(DEAL, "Email campaign ID", "varchar", "campaign_id"),
    CustomField(DEAL, "Forecast category", "enum", "forecast_category", FORECASTS),
    CustomField(DEAL, "Billing subscription ID", "varchar", "billing_subscription_id"),
]
BY_KEY = {field.key: field for field in FIELDS}
FORECAST = next(field for field in FIELDS if field.attribute == "forecast_category")

#: Some of the fields every account has.
STANDARD = {
    ORGANIZATION: {
        "name": ("Name", "varchar"),
        "owner_id": ("Owner", "user"),
        "address": ("Address", "address"),
    },
    PERSON: {"name": ("Name", "varchar"), "emails": ("Email", "varchar"), "org_id": ("Organization", "org")},
    DEAL: {"title": ("Title", "varchar"), "value": ("Value", "monetary"), "stage_id": ("Stage", "stage")},
}


def described(world: World, entity: str) -> list[Json]:
    """The field endpoints of API v2: every field of organizations, persons or deals."""
    standard = [_description(code, *rest, False, None) for code, rest in STANDARD[entity].items()]
    custom = [
        _description(field.key, field.name, field.kind, True, _options(world, field))
        for field in FIELDS
        if field.entity == entity
    ]
    return standard + custom


def _options(world: World, field: CustomField) -> list[Json] | None:
    """The options of a choice: those of every account, and those that sales made for a product of its own."""
    if field.labels is None:
        return None
    used = {deal.product for deal in world.crm.deals if deal.product} if field.labels is PRODUCTS else set()
    labels = {name: name for name in sorted(used)} | field.labels
    return [{"id": option_id(field, value), "label": label} for value, label in labels.items()]


def _description(code: str, name: str, kind: str, is_custom: bool, options: list[Json] | None) -> Json:
    return {
        "field_name": name,
        "field_code": code,
        "description": "",
        "field_type": kind,
        "is_custom_field": is_custom,
        "is_optional_response_field": False,
        "options": options,
        "subfields": None,
    }


def stamp(moment: datetime | None) -> str | None:
    """A time of API v2: RFC 3339, seconds."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def values(world: World, entity: str, record: Any, keys: list[str]) -> Json:
    """`custom_fields` of a record: those asked for, or all."""
    return {
        field.key: shown(world, field, _attribute(field, record))
        for field in FIELDS
        if field.entity == entity and (not keys or field.key in keys)
    }


def shown(world: World, field: CustomField, value: Any) -> Any:
    """A value as API v2 shows it in a field of that type."""
    if value is None:
        return None
    if field.labels is not None:
        return option_id(field, {True: "yes", False: "no"}.get(value, value))
    if isinstance(value, datetime):
        return stamp(value)
    if field.kind == "monetary":
        return {"value": _number(value), "currency": world.currency}
    return int(value) if field.kind == "org" else value


def _number(value: Any) -> Any:
    """An amount as JSON holds it; what is none (in a test) stays."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def _attribute(field: CustomField, record: Any) -> Any:
    kind, _, stage = field.attribute.partition(":")
    if kind != "reached":
        return getattr(record, field.attribute)
    entered = record.history.get("lifecycle_stage") or [(record.created_at, record.lifecycle_stage)]
    return next((since for since, value in entered if value == stage), None)


def parsed(key: str, given: Any) -> tuple[str, Any] | None:
    """The attribute a PATCH of a custom field sets, and its value; None if there is no such field."""
    field = BY_KEY.get(key)
    if field is None or field.attribute.startswith("reached:"):
        return None
    if given is None:
        return field.attribute, None
    if field.labels is not None:
        given = next((value for value in field.labels if option_id(field, value) == given), given)
    if isinstance(given, dict):
        given = given["value"]
    return field.attribute, field.parse(given) if field.parse else given
