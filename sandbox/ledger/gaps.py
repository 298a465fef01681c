"""The five seam gaps that are planted, found by their rules over the truth about who is who."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from sandbox.ledger.arithmetic import ZERO, Exchange, last_day_before
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.world import World

LEAD_STAGES = {"lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "other"}


@dataclass(frozen=True, order=True)
class Gap:
    """A gap as the register must show it."""

    gap_type: str
    key_left: str
    key_right: str | None
    account: str
    money_at_risk: Decimal


def find_gaps(revenue: Revenue, movements: list[Movement]) -> list[Gap]:
    """Every open gap of these kinds at the world's clock."""
    world = revenue.world
    found = _won_without_billing(world, revenue) + _paying_without_crm(revenue)
    found += _churned_but_customer(revenue, movements) + _duplicates(world, revenue)
    found += _replies(world, revenue)
    return sorted(found, key=lambda g: (g.gap_type, g.key_left, g.key_right or ""))


def _won_without_billing(world: World, revenue: Revenue) -> list[Gap]:
    outcomes = {stage.id: stage.outcome for stage in world.crm.stages}
    billed = set(revenue.identities.customers.values())
    exchange: Exchange = revenue.exchange
    found = []
    for deal in world.crm.deals:
        won = outcomes[deal.stage] == "won" and deal.deal_type in ("new_business", None)
        if not won or deal.archived_at is not None or deal.closed_at is None or deal.company_id is None:
            continue
        account = revenue.identities.companies[deal.company_id]
        if deal.closed_at + timedelta(days=7) < world.now and account not in billed:
            money = exchange.convert(deal.amount or ZERO, deal.currency, deal.closed_at.date())
            found.append(Gap("won_without_billing", deal.id, None, account, money))
    return found


def _paying_without_crm(revenue: Revenue) -> list[Gap]:
    known = set(revenue.identities.companies.values())
    world, day, found = revenue.world, last_day_before(revenue.world.now), []
    for customer in world.billing.customers:
        account = revenue.identities.customers[customer.id]
        if account in known:
            continue
        worth = sum(
            (
                revenue.exchange.convert(revenue.of(s, world.now), s.currency, day)
                for s in revenue.subscriptions.get(account, [])
                if s.customer_id == customer.id
            ),
            ZERO,
        )
        if worth > 0:
            found.append(Gap("paying_without_crm", customer.id, None, account, worth * 12))
    return found


def _churned_but_customer(revenue: Revenue, movements: list[Movement]) -> list[Gap]:
    world, found = revenue.world, []
    last: dict[str, Decimal] = {}
    for row in movements:
        if row.closing > 0:
            last[row.account] = row.closing
    for company in world.crm.companies:
        account = revenue.identities.companies[company.id]
        subscriptions = revenue.subscriptions.get(account, [])
        ended = [s for s in subscriptions if s.ended_at is not None]
        if company.archived_at or company.lifecycle_stage != "customer" or account not in last or not ended:
            continue
        if revenue.local(account, world.now):
            continue
        waiting = [
            s
            for s in subscriptions
            if s.ended_at is None and (s.status == "trialing" or any(p.resumed_at is None for p in s.pauses))
        ]
        latest = max(ended, key=lambda s: (s.ended_at or world.start, s.id))
        assert latest.ended_at is not None
        if not waiting and latest.ended_at + timedelta(days=7) < world.now:
            money = last[account] * 12
            found.append(Gap("churned_but_customer", latest.customer_id, company.id, account, money))
    return found


def _duplicates(world: World, revenue: Revenue) -> list[Gap]:
    companies = [c for c in world.crm.companies if c.archived_at is None]
    of: dict[str, list[str]] = defaultdict(list)
    for company in sorted(companies, key=lambda c: (c.created_at, c.id)):
        of[revenue.identities.companies[company.id]].append(company.id)
    return [
        Gap("duplicate_accounts", keys[0], extra, account, ZERO)
        for account, keys in of.items()
        for extra in keys[1:]
    ]


def _replies(world: World, revenue: Revenue) -> list[Gap]:
    people = revenue.identities.people
    leads = set()
    for contact in world.crm.contacts:
        reached = {value for _, value in contact.history.get("lifecycle_stage", [])}
        reached.add(contact.lifecycle_stage)
        if contact.email and contact.archived_at is None and reached & LEAD_STAGES:
            leads.add(people[f"contact:{contact.id}"])
    late = {
        event.recipient_id
        for event in world.email.events
        if event.event_type == "reply"
        and not event.is_machine
        and event.occurred_at + timedelta(days=1) < world.now
        and people[f"recipient:{event.recipient_id}"] not in leads
    }
    accounts = revenue.identities.recipients
    return [Gap("reply_without_lead", key, None, accounts[key], ZERO) for key in late]
