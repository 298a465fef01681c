"""What happens to customers, as steps of their journey: the instant behind each movement of their MRR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import at_midnight, last_day_before, next_month, periods
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.ledger.renewals import Renewal
from sandbox.world import Subscription

INSTANT = timedelta(microseconds=1)
#: Account, step, when, subscription, when it counts.
CustomerStep = tuple[str, str, datetime, str, datetime]


def customer_steps(revenue: Revenue, moves: list[Movement], due: list[Renewal]) -> Iterator[CustomerStep]:
    """renewed, expanded, contracted, churned and reactivated, in the order of time within an account."""
    for renewal in due:
        if renewal.renewed_at is not None:
            yield (
                *(renewal.account, "renewed", renewal.renewed_at, renewal.subscription_id),
                renewal.due_at,
            )
    lost: dict[str, datetime] = {}
    for move in moves:
        name = _name(move)
        if name is None:
            continue
        at = _instant(revenue, move, name)
        if name == "churned":
            lost[move.account] = at
        counts_at = lost[move.account] if name == "reactivated" else at
        yield move.account, name, at, _changed(revenue, move, at), counts_at


def brief_stays(revenue: Revenue, moves: list[Movement]) -> Counter[date]:
    """Accounts by the month in which they began and stopped to pay; they have no movement in it."""
    moved = {(move.account, move.month) for move in moves}
    found: Counter[date] = Counter()
    for period in periods(revenue.world.start.date(), revenue.world.now):
        if period.kind == "month":
            found[period.start] = sum(
                1
                for account in revenue.subscriptions
                if (account, period.start) not in moved
                and any(revenue.local(account, at + INSTANT) for at in turns(revenue, account, period.start))
            )
    return found


def _name(move: Movement) -> str | None:
    if move.churn:
        return "churned"
    if move.reactivation:
        return "reactivated"
    if move.expansion:
        return "expanded"
    return "contracted" if move.contraction else None


def _instant(revenue: Revenue, move: Movement, name: str) -> datetime:
    """The moment of a month that made the movement."""
    changes = []
    for at in sorted(turns(revenue, move.account, move.month)):
        before, after = revenue.local(move.account, at), revenue.local(move.account, at + INSTANT)
        if before != after:
            changes.append((at, before, after))
    if name == "churned":
        return [at for at, _, after in changes if not after][-1]
    if name == "reactivated":
        return [at for at, before, _ in changes if not before][-1]
    rate = _rates(revenue, move.month)
    sign = 1 if name == "expanded" else -1
    return next(
        at
        for at, before, after in changes
        if sign * sum((after.get(c, 0) - before.get(c, 0)) * rate(c) for c in {*before, *after}) > 0
    )


def _rates(revenue: Revenue, month: date) -> Callable[[str], Decimal]:
    """The month's closing rate of a currency."""
    day = last_day_before(min(at_midnight(next_month(month)), revenue.world.now))
    return lambda currency: revenue.exchange.rate(currency, day)


def _changed(revenue: Revenue, move: Movement, at: datetime) -> str:
    """The subscription that changed most at an instant."""
    rate = _rates(revenue, move.month)

    def change(subscription: Subscription) -> Fraction:
        moved = revenue.of(subscription, at + INSTANT) - revenue.of(subscription, at)
        return abs(Fraction(moved) * Fraction(rate(subscription.currency)))

    return max(revenue.subscriptions[move.account], key=lambda s: (change(s), s.id)).id


def turns(revenue: Revenue, account: str, month: date) -> set[datetime]:
    """Every instant of a month at which a subscription's worth may change."""
    found: set[datetime | None] = set()
    for subscription in revenue.subscriptions[account]:
        found |= {subscription.started_at, subscription.trial_end, revenue.lost_at(subscription)}
        for item in subscription.items:
            found |= {item.valid_from, item.valid_to}
        for discount in revenue.discounts[subscription.id]:
            found |= {discount.starts_at, discount.ends_at}
        for pause in subscription.pauses:
            found |= {pause.paused_at, pause.resumed_at}
        for failed, invoice in revenue.unpaid[subscription.id]:
            found |= {failed + revenue.grace, invoice.paid_at, invoice.voided_at}
    first, end = at_midnight(month), min(at_midnight(next_month(month)), revenue.world.now)
    return {at for at in found if at is not None and first <= at < end}
