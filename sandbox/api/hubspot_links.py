"""Associations between the sandbox's CRM records, with HubSpot's association types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: (from, to) -> HubSpot's own type ids: plain, primary.
TYPE_IDS = {
    ("deals", "companies"): (341, 5),
    ("deals", "contacts"): (3, 3),
    ("contacts", "companies"): (279, 1),
    ("calls", "contacts"): (194, 194),
    ("calls", "companies"): (182, 182),
    ("calls", "deals"): (206, 206),
    ("emails", "contacts"): (198, 198),
    ("emails", "companies"): (186, 186),
    ("emails", "deals"): (210, 210),
    ("meetings", "contacts"): (200, 200),
    ("meetings", "companies"): (188, 188),
    ("meetings", "deals"): (212, 212),
    ("notes", "contacts"): (202, 202),
    ("notes", "companies"): (190, 190),
    ("notes", "deals"): (214, 214),
    ("tasks", "contacts"): (204, 204),
    ("tasks", "companies"): (192, 192),
    ("tasks", "deals"): (216, 216),
}

#: The portal's own label that marks a deal's main contact.
PRIMARY_CONTACT = {"category": "USER_DEFINED", "typeId": 101, "label": "Primary contact"}


@dataclass(frozen=True)
class Link:
    """One association, seen from its `from` end."""

    here: str
    there: str
    to_id: str
    is_primary: bool

    def rendered(self) -> dict[str, Any]:
        """As v4 shows it."""
        plain, primary = TYPE_IDS[(self.here, self.there)]
        types: list[dict[str, Any]] = [{"category": "HUBSPOT_DEFINED", "typeId": plain, "label": None}]
        if self.is_primary and primary != plain:
            types.append({"category": "HUBSPOT_DEFINED", "typeId": primary, "label": "Primary"})
        if self.is_primary and (self.here, self.there) == ("deals", "contacts"):
            types.append(PRIMARY_CONTACT)
        return {"toObjectId": int(self.to_id), "associationTypes": types}

    def rendered_v3(self) -> dict[str, Any]:
        """As the v3 object endpoints show it."""
        singular = {"companies": "company"}
        here, there = (singular.get(name, name[:-1]) for name in (self.here, self.there))
        return {"id": self.to_id, "type": f"{here}_to_{there}"}


def of(here: str, record: Any, there: str) -> list[Link]:
    """Associations of a record with records of another type."""
    if (here, there) not in TYPE_IDS:
        return []
    if (here, there) == ("deals", "contacts"):
        return [Link(here, there, key, place == 0) for place, key in enumerate(record.contact_ids)]
    attribute = {"companies": "company_id", "contacts": "contact_id", "deals": "deal_id"}[there]
    key = getattr(record, attribute)
    return [] if key is None else [Link(here, there, key, True)]
