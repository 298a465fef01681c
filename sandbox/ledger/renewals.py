"""Contracts falling due, and whether they were renewed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sandbox.ledger.arithmetic import ZERO, last_day_before, next_month
from sandbox.ledger.mrr import Revenue
from sandbox.world import Subscription

MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True)
class Renewal:
    """One contract at the end of a term; amounts a month in reporting currency."""

    account: str
    subscription_id: str
    due_at: datetime
    amount_due: Decimal
    amount_renewed: Decimal
    renewed_at: datetime | None  # when the renewing term began


def _later(anchor: datetime, months: int) -> datetime:
    first = next_month(anchor.date().replace(day=1), months)
    last = next_month(first) - timedelta(days=1)
    return anchor.replace(year=first.year, month=first.month, day=min(anchor.day, last.day))


def term_ends(revenue: Revenue, subscription: Subscription, as_of: datetime) -> Iterator[datetime]:
    """Ends of completed terms; a change of interval starts a new series, an end stops it."""
    versions = sorted(subscription.items, key=lambda item: item.valid_from)
    turns: list[tuple[datetime, int]] = []
    for item in versions:
        price = revenue.prices[item.price_id]
        if price.interval not in MONTHS:
            continue
        months = MONTHS[price.interval] * (price.interval_count or 1)
        if not turns:
            turns.append((max(subscription.started_at, subscription.trial_end or item.valid_from), months))
        elif turns[-1][1] != months:
            turns.append((item.valid_from, months))
    for place, (anchor, months) in enumerate(turns):
        if months < revenue.policies.renewal_min_term_months:
            continue
        stop = turns[place + 1][0] if place + 1 < len(turns) else as_of
        count = 1
        while (due := _later(anchor, months * count)) < min(stop, as_of):
            if subscription.ended_at is not None and due > subscription.ended_at:
                break
            yield due
            count += 1


def renewals(revenue: Revenue) -> list[Renewal]:
    """Every contract that has fallen due, in order."""
    as_of = revenue.world.now
    grace = timedelta(days=revenue.policies.renewal_grace_days)
    found = []
    for account, subscriptions in revenue.subscriptions.items():
        for subscription in subscriptions:
            for due_at in term_ends(revenue, subscription, as_of):
                due = revenue.of(subscription, due_at)
                renewed = revenue.of(subscription, due_at + timedelta(days=1))
                currency, since = subscription.currency, due_at
                if renewed == ZERO:
                    later = sorted(
                        (s for s in subscriptions if due_at <= s.started_at < due_at + grace),
                        key=lambda s: s.started_at,
                    )
                    if later:
                        currency = later[0].currency
                        since = later[0].started_at
                        renewed = revenue.of(later[0], since + timedelta(days=1))
                day = min(_month_end(due_at), last_day_before(as_of))
                found.append(
                    Renewal(
                        account=account,
                        subscription_id=subscription.id,
                        due_at=due_at,
                        amount_due=revenue.exchange.convert(due, subscription.currency, day),
                        amount_renewed=revenue.exchange.convert(renewed, currency, day),
                        renewed_at=since if renewed else None,
                    )
                )
    return sorted(found, key=lambda r: (r.due_at, r.subscription_id))


def _month_end(when: datetime) -> date:
    return next_month(when.date().replace(day=1)) - timedelta(days=1)
