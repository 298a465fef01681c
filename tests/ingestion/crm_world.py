"""A small CRM with one of everything that connectors must get right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sandbox.world import Activity, Company, Contact, Deal, Owner, Stage, World

START = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2025, 6, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def small_world() -> World:
    """Two companies, three contacts, two deals (one won), one of each engagement, one archived deal."""
    world = World(1, 2, START, NOW, "USD")
    crm = world.crm
    crm.owners = [
        Owner("1", "Ann", "Ode", "ann@acme.test", "ae", "Mid-Market", "EMEA", START, START),
        Owner("2", "Bob", "Roe", "bob@acme.test", "sdr", "Outbound", "AMER", START, START, is_active=False),
    ]
    outcomes = {"qualified": "open", "closedwon": "won", "closedlost": "lost"}
    for place, (key, outcome) in enumerate(outcomes.items()):
        chance = {"open": Decimal("0.2"), "won": Decimal("1.0"), "lost": Decimal("0.0")}[outcome]
        crm.stages.append(Stage("default", key, key.title(), place, chance, outcome))
    for key, name, domain in (("11", "Globex", "globex.test"), ("12", "Initech", "initech.test")):
        crm.companies.append(
            Company(key, name, domain, "US", None, 40, Decimal("1500000.50"), "1", "lead", day(1), day(1))
        )
    for key, company in (("21", "11"), ("22", "11"), ("23", None)):
        stages = [(day(2), "lead"), (day(4), "salesqualifiedlead"), (day(5), "opportunity")]
        contact = Contact(
            *(key, company, f"p{key}@globex.test", "Pat", f"No{key}", None, "1", "opportunity"),
            *("inbound", False, day(2), day(5)),
            first_response_at=day(2.5),
        )
        contact.history["lifecycle_stage"] = stages if company else [(day(2), "subscriber")]
        contact.lifecycle_stage = contact.history["lifecycle_stage"][-1][1]
        crm.contacts.append(contact)
    crm.deals = [new_deal("31", ["21", "22"], "closedwon"), new_deal("32", ["22"], "qualified")]
    crm.deals.append(new_deal("33", [], "qualified"))
    crm.deals[2].archived_at = day(40)
    for place, kind in enumerate(("email", "call", "meeting", "task", "note")):
        direction = "outbound" if kind in ("email", "call") else None
        crm.activities.append(
            Activity(
                *(str(41 + place), kind, direction, kind == "email", "1", "11", "21", "31"),
                *(day(6), day(6), day(6)),
            )
        )
    return world


def new_deal(key: str, contacts: list[str], stage: str) -> Deal:
    won = stage == "closedwon"
    closed = day(30) + timedelta(hours=9, minutes=30) if won else None
    deal = Deal(
        *(key, f"Deal {key}", "11", contacts, "1", "default", stage, Decimal("12000.00"), "EUR"),
        *(date(2025, 1, 31), "new_business", "Growth", "inbound", "closed" if won else "commit"),
        *(day(5), closed or day(8)),
        closed_at=closed,
    )
    deal.history["stage"] = [(day(5), "qualified"), *([(closed, stage)] if closed else [])]
    deal.history["amount"] = [(day(5), Decimal("9000.00")), (day(8), Decimal("12000.00"))]
    return deal
