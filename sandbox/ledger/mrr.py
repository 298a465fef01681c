"""Monthly recurring revenue of the world, and its movements by true account and month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import (
    ZERO,
    Exchange,
    at_midnight,
    cents,
    last_day_before,
    monthly,
    next_month,
    periods,
)
from sandbox.ledger.identity import Identities
from sandbox.world import Discount, Invoice, Payment, Price, Subscription, World
from settings.config import Policies


@dataclass(frozen=True)
class Movement:
    """One account in one month, in reporting currency; losses are negative."""

    account: str
    month: date
    opening: Decimal
    new: Decimal
    reactivation: Decimal
    expansion: Decimal
    contraction: Decimal
    churn: Decimal
    fx: Decimal
    closing: Decimal
    involuntary: bool = False  # a churn for non-payment

    @property
    def residual(self) -> Decimal:
        """What the bridge leaves unexplained: 0."""
        gains = self.new + self.reactivation + self.expansion
        return self.opening + gains + self.contraction + self.churn + self.fx - self.closing


def movement(
    account: str,
    month: date,
    before: Mapping[str, Decimal],
    after: Mapping[str, Decimal],
    opening: Decimal,
    rates: Mapping[str, Decimal],
    was_customer: bool,
    involuntary: bool = False,
) -> Movement:
    """Explain a month's change; `before` and `after` are local amounts by currency."""
    closing = sum((cents(amount * rates[c]) for c, amount in after.items()), ZERO)
    delta = sum(
        (cents((after.get(c, ZERO) - before.get(c, ZERO)) * rates[c]) for c in {*before, *after}), ZERO
    )
    kind = None
    if opening == 0 and closing > 0:
        kind = "reactivation" if was_customer else "new"
    elif opening > 0 and closing == 0:
        kind = "churn"
    elif opening > 0 and delta:
        kind = "expansion" if delta > 0 else "contraction"
    amounts = dict.fromkeys(("new", "reactivation", "expansion", "contraction", "churn"), ZERO)
    if kind:
        amounts[kind] = delta
    fx = closing - opening - (delta if kind else ZERO)
    return Movement(
        account,
        month,
        opening,
        **amounts,
        fx=fx,
        closing=closing,
        involuntary=involuntary and kind == "churn",
    )


class Revenue:
    """Answers what any subscription or account was worth a month, at any instant."""

    def __init__(self, world: World, identities: Identities, exchange: Exchange, policies: Policies) -> None:
        self.world, self.identities, self.exchange, self.policies = world, identities, exchange, policies
        self.grace = timedelta(days=policies.past_due_grace_days)
        self.prices: dict[str, Price] = {price.id: price for price in world.billing.prices}
        self.discounts: dict[str, list[Discount]] = defaultdict(list)
        for discount in world.billing.discounts:
            if policies.discounts == "all" or (policies.discounts == "forever_only" and not discount.ends_at):
                self.discounts[discount.subscription_id].append(discount)
        self.unpaid = self._first_failures(world.billing.invoices, world.billing.payments)
        self.subscriptions: dict[str, list[Subscription]] = defaultdict(list)
        for subscription in world.billing.subscriptions:
            self.subscriptions[identities.customers[subscription.customer_id]].append(subscription)

    @staticmethod
    def _first_failures(
        invoices: Iterable[Invoice], payments: Iterable[Payment]
    ) -> dict[str, list[tuple[datetime, Invoice]]]:
        first: dict[str, datetime] = {}
        for payment in payments:
            if payment.status == "failed":
                first[payment.invoice_id] = min(
                    first.get(payment.invoice_id, payment.attempted_at), payment.attempted_at
                )
        found: dict[str, list[tuple[datetime, Invoice]]] = defaultdict(list)
        for invoice in invoices:
            if invoice.id in first and invoice.subscription_id:
                found[invoice.subscription_id].append((first[invoice.id], invoice))
        return found

    def beyond_grace(self, subscription: Subscription, t: datetime) -> bool:
        """Whether some invoice of it has gone unpaid for too long just before `t`."""
        return any(
            failed + self.grace < t
            and (invoice.paid_at is None or invoice.paid_at >= t)
            and (invoice.voided_at is None or invoice.voided_at >= t)
            for failed, invoice in self.unpaid[subscription.id]
        )

    def lost_at(self, subscription: Subscription) -> datetime | None:
        """When a subscription is lost for good; None while it is not."""
        ends = [subscription.ended_at]
        if self.policies.churn_date == "cancellation":
            ends.append(subscription.canceled_at)
        return min((end for end in ends if end is not None), default=None)

    def counts(self, subscription: Subscription, t: datetime) -> bool:
        """Whether a subscription counts just before `t`."""
        if subscription.status in ("incomplete", "incomplete_expired"):
            return False
        if subscription.status == "trialing" and subscription.trial_end is None:
            return False
        paid_from = max(subscription.started_at, subscription.trial_end or subscription.started_at)
        lost_at = self.lost_at(subscription)
        if paid_from >= t or (lost_at is not None and lost_at < t):
            return False
        paused = any(
            p.paused_at < t and (p.resumed_at is None or p.resumed_at >= t) for p in subscription.pauses
        )
        return not paused and not self.beyond_grace(subscription, t)

    def of(self, subscription: Subscription, t: datetime) -> Decimal:
        """A subscription's MRR just before `t`, in its own currency."""
        return self.priced(subscription, t)[1] if self.counts(subscription, t) else ZERO

    def priced(self, subscription: Subscription, t: datetime) -> tuple[Decimal, Decimal]:
        """A month's worth of its items just before `t`: at list price, and after discounts."""
        total = Fraction(0)
        interval: tuple[str, int | None] | None = None
        for item in subscription.items:
            price = self.prices[item.price_id]
            in_force = item.valid_from < t and (item.valid_to is None or item.valid_to >= t)
            if in_force and price.interval is not None:
                interval = (price.interval, price.interval_count)
                sold_at = price.unit_amount if item.unit_amount is None else item.unit_amount
                total += monthly(sold_at * item.quantity, *interval)
        if interval is None:
            return ZERO, ZERO
        listed = total
        given = [
            d
            for d in self.discounts[subscription.id]
            if d.starts_at < t and (d.ends_at is None or d.ends_at >= t)
        ]
        for discount in given:
            if discount.percent_off is not None:
                total *= 1 - Fraction(discount.percent_off) / 100
        for discount in given:
            if discount.amount_off is not None:
                total -= monthly(discount.amount_off, *interval)
        return cents(listed), cents(max(total, Fraction(0)))

    def local(self, account: str, t: datetime) -> dict[str, Decimal]:
        """An account's MRR just before `t` by currency; currencies without any are left out."""
        found: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for subscription in self.subscriptions.get(account, []):
            found[subscription.currency] += self.of(subscription, t)
        return {currency: amount for currency, amount in found.items() if amount}

    def reporting(self, account: str, t: datetime) -> Decimal:
        """The same in reporting currency, at the latest rate before `t`."""
        day = last_day_before(t)
        return sum((self.exchange.convert(a, c, day) for c, a in self.local(account, t).items()), ZERO)

    def movements(self) -> list[Movement]:
        """Every account and month with MRR at its beginning or end."""
        found = []
        months = [p.start for p in periods(self.world.start.date(), self.world.now) if p.kind == "month"]
        for account in sorted(self.subscriptions):
            before: dict[str, Decimal] = {}
            opening, was_customer = ZERO, False
            for month in months:
                end = min(at_midnight(next_month(month)), self.world.now)
                after = self.local(account, end)
                if not before and not after:
                    continue
                day = last_day_before(end)
                rates = {c: self.exchange.rate(c, day) for c in {*before, *after}}
                unpaid = bool(before) and not after and self._left_unpaid(account, month, end)
                row = movement(account, month, before, after, opening, rates, was_customer, unpaid)
                found.append(row)
                before, opening, was_customer = after, row.closing, was_customer or row.closing > 0
        return found

    def _left_unpaid(self, account: str, month: date, end: datetime) -> bool:
        """Whether all that was lost in the month was lost to failed payments."""
        start = at_midnight(month)
        lost = [s for s in self.subscriptions[account] if self.of(s, start)]
        return all(self._ended_unpaid(s, end) or self.beyond_grace(s, end) for s in lost)

    @staticmethod
    def _ended_unpaid(subscription: Subscription, end: datetime) -> bool:
        """Whether a subscription was ended before an instant because nobody paid."""
        ends = [at for at in (subscription.ended_at, subscription.canceled_at) if at is not None]
        return subscription.cancellation_reason == "payment_failed" and any(at < end for at in ends)


def bridge_rates(rows: Iterable[Movement]) -> dict[str, Decimal | Fraction]:
    """One month's rates out of its movements, exact (the numbers of the KPI dictionary's G2)."""
    rows = list(rows)

    def total(name: str) -> Fraction:
        return Fraction(sum((getattr(row, name) for row in rows), ZERO))

    opening, lost = total("opening"), -(total("churn") + total("contraction"))
    opened = sum(1 for row in rows if row.opening > 0)
    paying = sum(1 for row in rows if row.closing > 0)
    return {
        "closing": total("closing"),
        "logo_churn_rate": Fraction(sum(1 for row in rows if row.churn < 0), opened),
        "gross_mrr_churn_rate": lost / opening,
        "net_mrr_churn_rate": (lost - total("expansion")) / opening,
        "net_mrr_churn_rate_chartmogul": (lost - total("expansion") - total("reactivation")) / opening,
        "grr": (opening - lost) / opening,
        "nrr": (opening - lost + total("expansion")) / opening,
        "quick_ratio": (total("new") + total("expansion")) / lost,
        "arpa": total("closing") / paying,
        "arr": total("closing") * 12,
    }
