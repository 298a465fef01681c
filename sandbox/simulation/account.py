"""One real company: its people, its place in every silo, and its own chance and time."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.simulation import names
from sandbox.simulation.catalogue import Catalogue
from sandbox.simulation.staff import Staff
from sandbox.simulation.timeline import Timeline
from sandbox.truth import TrueAccount
from sandbox.world import Activity, Company, Contact, Customer, World

LIFECYCLE = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "other",
)
TRACKED = {"lifecycle_stage", "owner_id", "stage", "amount", "close_date", "forecast_category", "status"}


@dataclass
class Scene:
    """What all accounts share."""

    world: World
    staff: Staff
    catalogue: Catalogue


@dataclass
class Person:
    """Somebody who works at the account."""

    first_name: str
    last_name: str
    email: str
    title: str
    contact: Contact | None = None
    mailable: bool = True


@dataclass
class Profile:
    """What kind of company it is."""

    segment: str  # smb | mid | enterprise
    team: str
    currency: str
    country: str
    source: str  # outbound | inbound | referral | event
    link: str  # both | crm | billing | email | domain
    trait: str | None = None
    forced: bool = False
    has_domain: bool = True


def draw_profile(rng: random.Random) -> Profile:
    """A company by chance."""
    segment = rng.choices(("smb", "mid", "enterprise"), (60, 30, 10))[0]
    europe = rng.random() < 0.45
    currency = rng.choices(("EUR", "GBP", "USD"), (6, 3, 1))[0] if europe else "USD"
    country = {"EUR": rng.choice(("DE", "FR", "NL")), "GBP": "GB"}.get(currency, "IE" if europe else "US")
    team = "Enterprise" if segment == "enterprise" else "Europe" if europe else "Americas"
    source = rng.choices(("outbound", "inbound", "referral", "event"), (60, 22, 10, 8))[0]
    link = rng.choices(("both", "crm", "billing", "email", "domain"), (30, 20, 24, 13, 13))[0]
    has_domain = link not in ("both", "crm", "billing") or rng.random() > 0.05
    return Profile(segment, team, currency, country, source, link, has_domain=has_domain)


@dataclass
class Account:
    """The company while it is simulated."""

    scene: Scene
    number: int
    key: str
    line: Timeline
    profile: Profile
    truth: TrueAccount
    domain: str
    people: list[Person]
    company: Company | None = None
    customer: Customer | None = None
    subscriptions: list[Any] = field(default_factory=list)
    has_open_deal: bool = False
    in_campaigns: set[tuple[str, str]] = field(default_factory=set)
    _counters: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def rng(self) -> random.Random:
        """The account's own chance."""
        return self.line.rng

    @property
    def t(self) -> datetime:
        """The account's present."""
        return self.line.t

    @property
    def world(self) -> World:
        """Where its records go."""
        return self.scene.world

    def next_id(self, kind: str, width: int = 3, prefix: str = "") -> str:
        """The next id of a kind: the account's number and a counter, so later records never move it."""
        count = self._counters[kind]
        self._counters[kind] += 1
        return f"{prefix}{self.number}{count:0{width}d}"

    def put(self, record: Any, **values: Any) -> None:
        """Change fields of a record now, keeping the history of tracked ones."""
        for name, value in values.items():
            if getattr(record, name) == value:
                continue
            setattr(record, name, value)
            if name in TRACKED and hasattr(record, "history"):
                record.history.setdefault(name, []).append((self.t, value))
        record.updated_at = self.t

    def ensure_company(self, owner_id: str | None) -> Company:
        """The CRM company, created at first need."""
        if self.company is None:
            rng = self.rng
            employees = {"smb": (5, 80), "mid": (80, 600), "enterprise": (600, 8000)}[self.profile.segment]
            size = rng.randint(*employees)
            self.company = Company(
                id=self.next_id("company", 1),
                name=self.truth.name,
                domain=self.domain if self.profile.has_domain else None,
                country=self.profile.country,
                industry=rng.choice(names.INDUSTRIES),
                employee_count=size,
                annual_revenue=Decimal(size * rng.randint(60, 260) * 1000),
                owner_id=owner_id,
                lifecycle_stage="lead",
                created_at=self.t,
                updated_at=self.t,
                tax_id=f"{self.profile.country}{self.number}" if rng.random() < 0.3 else None,
                history={"lifecycle_stage": [(self.t, "lead")], "owner_id": [(self.t, owner_id)]},
            )
            self.world.crm.companies.append(self.company)
            self.truth.company_ids.append(self.company.id)
        return self.company

    def ensure_contact(
        self, person: Person, stage: str, source: str, owner_id: str | None, campaign_id: str | None = None
    ) -> Contact:
        """The CRM contact of a person, at least at the given lifecycle stage."""
        if person.contact is None:
            company = self.ensure_company(owner_id)
            person.contact = Contact(
                id=self.next_id("contact", 2),
                company_id=company.id,
                email=person.email,
                first_name=person.first_name,
                last_name=person.last_name,
                job_title=person.title,
                owner_id=owner_id,
                lifecycle_stage=stage,
                lead_source=source,
                email_opt_out=not person.mailable,
                created_at=self.t,
                updated_at=self.t,
                campaign_id=campaign_id,
                history={"lifecycle_stage": [(self.t, stage)], "owner_id": [(self.t, owner_id)]},
            )
            self.world.crm.contacts.append(person.contact)
            self.truth.contact_ids.append(person.contact.id)
        else:
            self.advance(person.contact, stage)
        return person.contact

    def advance(self, record: Any, stage: str) -> None:
        """Move a contact's or company's lifecycle forward (never back)."""
        if LIFECYCLE.index(record.lifecycle_stage) < LIFECYCLE.index(stage):
            self.put(record, lifecycle_stage=stage)

    def activity(
        self,
        kind: str,
        owner_id: str | None,
        person: Person | None,
        deal_id: str | None = None,
        direction: str | None = "outbound",
        automated: bool = False,
    ) -> None:
        """Log an activity now; the first human outbound one answers the lead."""
        contact = person.contact if person else None
        self.world.crm.activities.append(
            Activity(
                id=self.next_id("activity", 4),
                activity_type=kind,
                direction=direction if kind in ("email", "call") else None,
                is_automated=automated,
                owner_id=owner_id,
                company_id=self.company.id if self.company else None,
                contact_id=contact.id if contact else None,
                deal_id=deal_id,
                occurred_at=self.t,
                created_at=self.t,
                updated_at=self.t,
            )
        )
        answers = direction == "outbound" and kind in ("email", "call") and not automated
        if contact and answers and contact.first_response_at is None:
            self.put(contact, first_response_at=self.t)

    def live(self) -> list[Any]:
        """Subscriptions that have not ended."""
        return [s for s in self.subscriptions if s.record.ended_at is None]


def make_account(
    scene: Scene, seed: int, number: int, key: str, profile: Profile | None = None, people: int | None = None
) -> Account:
    """A company with its own chance, seeded by its key."""
    rng = random.Random(f"{seed}:{key}")
    chosen = profile or draw_profile(rng)
    name = names.company_name(number % 1_000_000 * 4 + number // 1_000_000)
    domain = names.domain_of(name)
    staff: list[Person] = []
    for place in range(people or {"smb": 2, "mid": 3, "enterprise": 4}[chosen.segment] + rng.randint(0, 1)):
        first, last = names.person(rng)
        handle = f"{first}.{last}{place or ''}".lower()
        private = 0.65 if place == 0 and chosen.link == "email" else 0.12
        if rng.random() < private:
            email = f"{handle}.{number}@{rng.choice(names.FREE_MAIL)}"
        else:
            email = f"{handle}@{domain}"
        staff.append(Person(first, last, email, rng.choice(names.TITLES)))
    truth = TrueAccount(key, name)
    scene.world.truth.accounts.append(truth)
    return Account(scene, number, key, Timeline(rng, scene.world.now), chosen, truth, domain, staff)
