"""When each true account reached each step of the funnel."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sandbox.ledger.identity import Identities
from sandbox.world import World

LIFECYCLE_STEPS = {
    "lead": "lead",
    "marketingqualifiedlead": "mql",
    "salesqualifiedlead": "sql",
}
STEPS = ("contacted", "engaged", "replied", "lead", "mql", "sql", "opportunity", "won", "subscribed", "paid")


@dataclass
class Journey:
    """A true account's first time at each step it reached."""

    account: str
    reached: dict[str, datetime] = field(default_factory=dict)


def funnel_steps(world: World, identities: Identities) -> dict[str, Journey]:
    """Account key -> journey; deleted records do not count, machines do not engage."""
    journeys = {key: Journey(key) for key in identities.names}

    def reach(account: str | None, step: str, when: datetime | None) -> None:
        if account is not None and when is not None:
            known = journeys[account].reached
            known[step] = min(known.get(step, when), when)

    for event in world.email.events:
        account = identities.recipients.get(event.recipient_id)
        if event.event_type == "sent":
            reach(account, "contacted", event.occurred_at)
        elif not event.is_machine and event.event_type in ("open", "click", "reply"):
            reach(account, "engaged", event.occurred_at)
            if event.event_type == "reply":
                reach(account, "replied", event.occurred_at)
    for contact in world.crm.contacts:
        if contact.archived_at is None:
            for since, stage in contact.history.get("lifecycle_stage", []):
                if stage in LIFECYCLE_STEPS:
                    reach(identities.contacts.get(contact.id), LIFECYCLE_STEPS[stage], since)
    outcomes = {stage.id: stage.outcome for stage in world.crm.stages}
    for deal in world.crm.deals:
        if deal.archived_at is None:
            account = identities.companies.get(deal.company_id or "")
            reach(account, "opportunity", deal.created_at)
            if outcomes[deal.stage] == "won":
                reach(account, "won", deal.closed_at)
    for subscription in world.billing.subscriptions:
        reach(identities.customers.get(subscription.customer_id), "subscribed", subscription.started_at)
    for invoice in world.billing.invoices:
        if invoice.amount_paid > 0:
            reach(identities.customers.get(invoice.customer_id), "paid", invoice.paid_at)
    return journeys
