"""The journeys of the world: who went how far through which buying cycle, when, and which record shows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.ledger.customers import customer_steps
from sandbox.ledger.identity import Identities
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.ledger.renewals import Renewal
from sandbox.ledger.visits import Visit, stage_visits
from sandbox.world import Contact, World

#: CRM lifecycle -> step; whoever is further on became a lead, too.
LIFECYCLE = {"lead": "lead", "marketingqualifiedlead": "mql", "salesqualifiedlead": "sql"}
LEAD_OR_LATER = (*LIFECYCLE, "opportunity", "customer")
#: Step -> steps of the same silo that come before it.
BEFORE = {
    "engaged": ("contacted",),
    "replied": ("contacted", "engaged"),
    "mql": ("lead",),
    "sql": ("lead", "mql"),
    "opportunity": ("lead", "mql", "sql"),
    "won": ("lead", "mql", "sql", "opportunity"),
    "paid": ("subscribed",),
    "renewed": ("subscribed", "paid"),
    "expanded": ("subscribed",),
    "contracted": ("subscribed",),
    "churned": ("subscribed",),
    "reactivated": ("subscribed", "churned"),
}


@dataclass(frozen=True)
class Step:
    """A record that shows that a prospect got to a step."""

    prospect: str
    name: str  # of the step; "stage:" and the label of a CRM stage
    at: datetime
    record: str  # silo:id
    counts_at: datetime  # decides on the cycle
    begins: bool = False  # somebody begins to buy
    imputed: bool = False


@dataclass
class Journey:
    """One buying cycle of a prospect."""

    prospect: str
    cycle: int
    reached: dict[str, datetime] = field(default_factory=dict)
    imputed: set[str] = field(default_factory=set)
    records: dict[str, str] = field(default_factory=dict)  # step -> silo:id; of witnessed steps


class Funnel:
    """All journeys of a world, by prospect and cycle. A prospect is whom the identities name."""

    def __init__(
        self,
        world: World,
        identities: Identities,
        revenue: Revenue,
        moves: list[Movement],
        due: list[Renewal],
    ) -> None:
        self.world, self.identities, self.revenue = world, identities, revenue
        self.visits = stage_visits(world)
        steps = [*self._email(), *self._leads(), *self._deals(), *self._billing()]
        steps += [
            Step(account, name, at, f"billing:{subscription}", counts_at)
            for account, name, at, subscription, counts_at in customer_steps(revenue, moves, due)
        ]
        by_prospect: dict[str, list[Step]] = defaultdict(list)
        for step in steps:
            by_prospect[step.prospect].append(step)
        self.cycles = {prospect: self._cycles(prospect, its) for prospect, its in by_prospect.items()}
        self.journeys: dict[tuple[str, int], Journey] = {}
        for step in sorted(steps, key=lambda s: (s.imputed, s.at, s.record)):
            number = self.cycle(step.prospect, step.counts_at)
            journey = self.journeys.setdefault((step.prospect, number), Journey(step.prospect, number))
            if step.name not in journey.reached:
                journey.reached[step.name] = step.at
                journey.records[step.name] = step.record
                if step.imputed:
                    journey.imputed.add(step.name)
        self._impute()

    def cycle(self, prospect: str, when: datetime) -> int:
        """In which of a prospect's cycles, 1 first, something counts."""
        return 1 + sum(1 for ended in self.cycles.get(prospect, []) if when > ended)

    def _impute(self) -> None:
        taken = {name for journey in self.journeys.values() for name in journey.reached}
        for journey in self.journeys.values():
            witnessed = dict(journey.reached)
            for name in taken - witnessed.keys():
                later = [at for step, at in witnessed.items() if name in BEFORE.get(step, ())]
                if later:
                    journey.reached[name] = min(later)
                    journey.imputed.add(name)

    # ------------------------------------------------------------ what the silos show

    def _email(self) -> Iterator[Step]:
        for event in self.world.email.events:
            if event.is_machine:
                continue
            names = {
                "sent": ("contacted",),
                "open": ("engaged",),
                "click": ("engaged",),
                "reply": ("engaged", "replied"),
            }.get(event.event_type, ())
            prospect = self.identities.recipients[event.recipient_id]
            for name in names:
                yield Step(prospect, name, event.occurred_at, f"email:{event.id}", event.occurred_at)

    def _leads(self) -> Iterator[Step]:
        for contact in self.world.crm.contacts:
            if contact.archived_at is not None:
                continue
            for name, at in lead_dates(contact).items():
                yield Step(
                    self.identities.contacts[contact.id], name, at, f"crm:{contact.id}", at, begins=True
                )

    def _deals(self) -> Iterator[Step]:
        outcomes = {stage.id: stage.outcome for stage in self.world.crm.stages}
        for deal in self.world.crm.deals:
            if deal.archived_at is not None:
                continue
            prospect, record = self.identities.companies[deal.company_id or ""], f"crm:{deal.id}"
            begins = deal.deal_type == "new_business"
            yield Step(prospect, "opportunity", deal.created_at, record, deal.created_at, begins)
            if outcomes[deal.stage] == "won" and deal.closed_at is not None:
                yield Step(prospect, "won", deal.closed_at, record, deal.created_at)
            for visit in self.visits[deal.id]:
                name = f"stage:{visit.label}"
                yield Step(prospect, name, visit.entered_at, record, deal.created_at, imputed=visit.imputed)

    def _billing(self) -> Iterator[Step]:
        started = {}
        for subscription in self.world.billing.subscriptions:
            account, at = self.identities.customers[subscription.customer_id], subscription.started_at
            started[subscription.id] = at
            yield Step(account, "subscribed", at, f"billing:{subscription.id}", at, begins=True)
        for invoice in self.world.billing.invoices:
            if invoice.amount_paid > 0 and invoice.paid_at is not None:
                counts_at = started.get(invoice.subscription_id or "", invoice.created_at)
                account = self.identities.customers[invoice.customer_id]
                yield Step(account, "paid", invoice.paid_at, f"billing:{invoice.id}", counts_at)

    # ------------------------------------------------------------ cycles

    def _cycles(self, prospect: str, steps: list[Step]) -> list[datetime]:
        """Ends of the cycles that another one follows."""
        churned = [step.at for step in steps if step.name == "churned"]
        ends = sorted({*churned, *self._lost(prospect, churned)})
        begun = [step.at for step in steps if step.begins]
        return sorted({max(e for e in ends if e < at) for at in begun if any(e < at for e in ends)})

    def _lost(self, prospect: str, churned: list[datetime]) -> Iterator[datetime]:
        deals = (
            [
                deal
                for deal in self.world.crm.deals
                if deal.archived_at is None and self.identities.companies[deal.company_id or ""] == prospect
            ]
            if prospect in self.identities.names
            else []
        )
        outcomes = {stage.id: stage.outcome for stage in self.world.crm.stages}
        for deal in deals:
            at = deal.closed_at
            if at is None or outcomes[deal.stage] != "lost" or deal.deal_type != "new_business":
                continue
            others = any(d.created_at <= at and (d.closed_at is None or d.closed_at > at) for d in deals)
            won = [
                d.closed_at for d in deals if outcomes[d.stage] == "won" and d.closed_at and d.closed_at <= at
            ]
            left = max((c for c in churned if c <= at), default=None)
            sold = bool(won) and (left is None or left < max(won))
            if not others and not sold and not self.revenue.local(prospect, at):
                yield at


def lead_dates(contact: Contact) -> dict[str, datetime]:
    """When a contact became a lead and was qualified; empty for whoever never was a lead."""
    found: dict[str, datetime] = {}
    for since, stage in contact.history.get("lifecycle_stage", []):
        if stage in LEAD_OR_LATER:
            found.setdefault("lead", since)
        if stage in LIFECYCLE:
            found.setdefault(LIFECYCLE[stage], since)
    return found


__all__ = ["Funnel", "Journey", "Step", "Visit", "lead_dates"]
