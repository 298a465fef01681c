"""A small CRM and a real HTTP server for it, whose next answers a test can replace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from serving import serving as app_served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from sandbox.api import hubspot
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
    crm.deals = [_deal("31", ["21", "22"], "closedwon"), _deal("32", ["22"], "qualified")]
    crm.deals.append(_deal("33", [], "qualified"))
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


def _deal(key: str, contacts: list[str], stage: str) -> Deal:
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


class Portal:
    """The served CRM. `faults` are answers given instead of the real one, in turn, to paths that contain
    the text.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.base_url = ""
        self.faults: list[tuple[str, Response]] = []

    def app(self) -> Any:
        inner = Starlette(routes=[Mount("/hubspot", routes=hubspot.routes(lambda: self.world))])

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                request = Request(scope)
                if not hubspot.authorised(request):
                    return await hubspot.unauthorised()(scope, receive, send)
                for place, (text, response) in enumerate(self.faults):
                    if text in request.url.path:
                        del self.faults[place]
                        return await response(scope, receive, send)
            return await inner(scope, receive, send)

        return answer


@contextlib.contextmanager
def serving(portal: Portal) -> Iterator[Portal]:
    """The portal on a free port of this machine."""
    with app_served(portal.app()) as address:
        portal.base_url = f"{address}/hubspot"
        yield portal


def rows(warehouse: Path, query: str) -> list[tuple[Any, ...]]:
    """What the warehouse answers."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(query).fetchall()
