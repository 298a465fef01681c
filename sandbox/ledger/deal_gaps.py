"""Gaps that the company has by its own way of working, found by their rules: nobody planted them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.ledger.arithmetic import ZERO, last_day_before
from sandbox.ledger.attribution import attribution
from sandbox.ledger.funnel import Funnel
from sandbox.ledger.gaps import Gap
from sandbox.ledger.mrr import Revenue
from sandbox.ledger.visits import Visit, stage_visits
from sandbox.world import Contact, Deal, Subscription, World

INSTANT = timedelta(seconds=1)
QUALIFIED = {"salesqualifiedlead", "opportunity", "customer"}
LEAD = {"lead", "marketingqualifiedlead", *QUALIFIED}


def find_deal_gaps(revenue: Revenue, funnel: Funnel) -> list[Gap]:
    """Every open gap of these kinds at the world's clock."""
    world = revenue.world
    found = _mismatches(revenue) + _upgrades(revenue) + _untouched(revenue, funnel)
    found += _open_deals(revenue) + _unanswered(world, revenue) + _mailable(world, revenue)
    return sorted(found, key=lambda g: (g.gap_type, g.key_left, g.key_right or ""))


def _deals(revenue: Revenue, outcome: str) -> list[Deal]:
    outcomes = {stage.id: stage.outcome for stage in revenue.world.crm.stages}
    return [d for d in revenue.world.crm.deals if d.archived_at is None and outcomes[d.stage] == outcome]


def _account(revenue: Revenue, deal: Deal) -> str:
    return revenue.identities.companies[deal.company_id or ""]


def _today(revenue: Revenue, amount: Decimal, currency: str) -> Decimal:
    return revenue.exchange.convert(amount, currency, last_day_before(revenue.world.now))


def _paid_from(subscription: Subscription) -> datetime:
    return max(subscription.started_at, subscription.trial_end or subscription.started_at)


def _mismatches(revenue: Revenue) -> list[Gap]:
    """Deals above the contract at list price, or below it after discounts."""
    subscriptions = {s.id: s for s in revenue.world.billing.subscriptions}
    found = []
    for deal in _deals(revenue, "won"):
        subscription = subscriptions.get(deal.billing_subscription_id or "")
        if subscription is None or deal.amount is None or deal.currency != subscription.currency:
            continue
        assert deal.closed_at is not None
        begin = max(deal.closed_at, _paid_from(subscription))
        listed, net = (12 * mrr for mrr in revenue.priced(subscription, begin + INSTANT))
        difference = max(deal.amount - listed, net - deal.amount)
        if begin < revenue.world.now and listed and difference > 50 and difference * 100 > net:
            money = _today(revenue, difference, deal.currency)
            account = _account(revenue, deal)
            found.append(Gap("deal_contract_mismatch", deal.id, subscription.id, account, money))
    return found


def _upgrades(revenue: Revenue) -> list[Gap]:
    """Subscriptions that grew lately while sales had nothing to do with it."""
    world, found = revenue.world, []
    sold: dict[str, list[Deal]] = defaultdict(list)
    for deal in world.crm.deals:
        if deal.archived_at is None and deal.deal_type == "expansion":
            sold[_account(revenue, deal)].append(deal)
    month = timedelta(days=30)
    for subscription in world.billing.subscriptions:
        account = revenue.identities.customers[subscription.customer_id]
        for at in sorted({item.valid_from for item in subscription.items}):
            before, after = (revenue.priced(subscription, t)[0] for t in (at, at + INSTANT))
            if (
                at <= _paid_from(subscription)
                or at < world.now - timedelta(days=90)
                or not 0 < before < after
            ):
                continue
            deals = [d for d in sold[account] if d.created_at < at + month]
            if not any(d.closed_at is None or d.closed_at > at - month for d in deals):
                money = _today(revenue, 12 * (after - before), subscription.currency)
                key = f"{subscription.id} {at:%Y-%m-%d}"
                found.append(Gap("upgrade_without_opportunity", key, None, account, money))
    return found


def _untouched(revenue: Revenue, funnel: Funnel) -> list[Gap]:
    """Lately won new business of which no campaign has a part."""
    touched = {deal for deal, measure, _, campaign in attribution(funnel, revenue.exchange) if campaign}
    found = []
    for deal in _deals(revenue, "won"):
        assert deal.closed_at is not None
        recent = deal.closed_at >= revenue.world.now - timedelta(days=90)
        if recent and deal.deal_type == "new_business" and deal.id not in touched:
            money = revenue.exchange.convert(deal.amount or ZERO, deal.currency, deal.closed_at.date())
            found.append(Gap("untouched_win", deal.id, None, _account(revenue, deal), money))
    return found


def _open_deals(revenue: Revenue) -> list[Gap]:
    """Open deals that nobody works on, and those that jumped over a stage or went back."""
    world, found = revenue.world, []
    touched: dict[str, list[datetime]] = defaultdict(list)
    for activity in world.crm.activities:
        if activity.archived_at is None:
            for key in (f"deal {activity.deal_id}", f"company {activity.company_id}"):
                touched[key].append(activity.occurred_at)
    visits = stage_visits(world)
    for deal in _deals(revenue, "open"):
        kinds = []
        touches = [deal.created_at, *touched[f"deal {deal.id}"], *touched[f"company {deal.company_id}"]]
        if max(touches) + timedelta(days=30) < world.now:
            kinds.append("idle_opportunity")
        if any(_is_not_made_good(visit, deal, visits[deal.id]) for visit in visits[deal.id]):
            kinds.append("stage_skipped")
        money = _today(revenue, deal.amount or ZERO, deal.currency)
        found += [Gap(kind, deal.id, None, _account(revenue, deal), money) for kind in kinds]
    return found


def _is_not_made_good(visit: Visit, deal: Deal, visits: list[Visit]) -> bool:
    """A stage that was jumped over or left backwards, and that the deal was not in since."""
    is_gap = visit.exit == "back" or (visit.imputed and visit.entered_at > deal.created_at)
    again = (v for v in visits if v.label == visit.label and not v.imputed)
    return is_gap and not any(v.entered_at > visit.entered_at for v in again)


def _unanswered(world: World, revenue: Revenue) -> list[Gap]:
    """Leads that came by themselves, and none of the person's records shows an answer."""
    people, answered = revenue.identities.people, set()
    called: dict[str, datetime] = {}
    for activity in world.crm.activities:
        human = activity.direction == "outbound" and not activity.is_automated
        if human and activity.archived_at is None and activity.contact_id:
            known = called.get(activity.contact_id, activity.occurred_at)
            called[activity.contact_id] = max(known, activity.occurred_at)
    leads: list[tuple[Contact, datetime, str]] = []
    for contact in world.crm.contacts:
        stages = contact.history.get("lifecycle_stage", [])
        came = min((since for since, stage in stages if stage in LEAD), default=None)
        if came is None or contact.archived_at is not None:
            continue
        person = people[f"contact:{contact.id}"] if contact.email else contact.id
        leads.append((contact, came, person))
        call = called.get(contact.id)
        is_qualified = any(stage in QUALIFIED for _, stage in stages)
        is_called = call is not None and call >= came.replace(second=0, microsecond=0)
        if contact.first_response_at or is_qualified or is_called:
            answered.add(person)
    accounts = revenue.identities.contacts
    return [
        Gap("lead_unanswered", contact.id, None, accounts[contact.id], ZERO)
        for contact, came, person in leads
        if person not in answered
        and contact.lead_source != "outbound"
        and came + timedelta(days=3) < world.now
    ]


def _mailable(world: World, revenue: Revenue) -> list[Gap]:
    """People who unsubscribed from e-mail and may be mailed by the CRM."""
    people = revenue.identities.people
    asked: dict[str, tuple[datetime, str]] = {}
    for recipient in world.email.recipients:
        at = recipient.unsubscribed_at
        if at is not None and at + timedelta(days=1) < world.now:
            person = people[f"recipient:{recipient.id}"]
            asked[person] = min(asked.get(person, (at, recipient.id)), (at, recipient.id))
    found = []
    for contact in world.crm.contacts:
        person = people[f"contact:{contact.id}"]
        if person in asked and contact.email and not contact.email_opt_out and contact.archived_at is None:
            account = revenue.identities.contacts[contact.id]
            found.append(Gap("unsubscribed_but_mailable", asked[person][1], contact.id, account, ZERO))
    return found
