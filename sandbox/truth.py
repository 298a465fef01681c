"""What only the simulator knows of its world: who is who, and what it planted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class TrueAccount:
    """A real company, and where each silo keeps it."""

    key: str
    name: str
    company_ids: list[str] = field(default_factory=list)
    contact_ids: list[str] = field(default_factory=list)
    customer_ids: list[str] = field(default_factory=list)
    recipient_ids: list[str] = field(default_factory=list)


@dataclass
class TruePerson:
    """A real person, or a mailbox of nobody in particular, and where each silo keeps them.

    `customer_ids` are the billing customers whose invoices go to one of `emails`.
    """

    key: str
    contact_ids: list[str] = field(default_factory=list)
    recipient_ids: list[str] = field(default_factory=list)
    customer_ids: list[str] = field(default_factory=list)
    emails: set[str] = field(default_factory=set)


@dataclass
class NoisyRecord:
    """A record that does not say plainly whose it is.

    `record` is "account:", "contact:", "recipient:" or "customer:" and the id. `unknowable` says why nobody
    who only sees the silos could tell.
    """

    kind: str
    record: str
    unknowable: str | None = None


@dataclass
class PlantedGap:
    """A silo gap the simulator made on purpose; keys as `marts.silo_gaps` must show them."""

    gap_type: str
    key_left: str
    key_right: str | None
    planted_at: datetime


@dataclass
class Truth:
    """Every company and person, every record that blurs who they are, every gap made on purpose."""

    accounts: list[TrueAccount] = field(default_factory=list)
    people: list[TruePerson] = field(default_factory=list)
    noise: list[NoisyRecord] = field(default_factory=list)
    gaps: list[PlantedGap] = field(default_factory=list)
