"""What invoices and payments say: MRR as billed, cash, and what is signed but not live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from sandbox.ledger.arithmetic import (
    ZERO,
    Period,
    at_midnight,
    cents,
    last_day_before,
    monthly,
    next_month,
    periods,
)
from sandbox.ledger.mrr import Revenue
from sandbox.ledger.sales import Opportunity
from sandbox.world import Invoice

#: Account and month -> amount in reporting currency.
Amounts = dict[tuple[str, date], Decimal]


class Billing:
    """Answers from invoices, payments and deals; amounts are at the closing rate of their month."""

    def __init__(self, revenue: Revenue, sold: list[Opportunity]) -> None:
        self.revenue, self.world, self.sold = revenue, revenue.world, sold
        self.periods = periods(self.world.start.date(), self.world.now)
        self.invoices = [i for i in self.world.billing.invoices if i.status not in ("void", "draft")]

    def end(self, period: Period) -> datetime:
        """The first instant after a period, or after what is known of it."""
        return min(at_midnight(period.end), self.world.now)

    def convert(self, amount: Decimal, currency: str, month: date) -> Decimal:
        """An amount in reporting currency at the month's closing rate."""
        day = last_day_before(min(at_midnight(next_month(month)), self.world.now))
        return self.revenue.exchange.convert(amount, currency, day)

    def account(self, customer_id: str) -> str:
        """The true account of a billing customer."""
        return self.revenue.identities.customers[customer_id]

    def _summed(self, found: Iterable[tuple[str, date, str, Decimal]]) -> Amounts:
        local: dict[tuple[str, date, str], Decimal] = defaultdict(lambda: ZERO)
        for account, month, currency, amount in found:
            local[account, month, currency] += amount
        total: Amounts = defaultdict(lambda: ZERO)
        for (account, month, currency), amount in local.items():
            total[account, month] += self.convert(amount, currency, month)
        return {key: amount for key, amount in total.items() if amount}

    @cached_property
    def billed_mrr(self) -> Amounts:
        """MRR of the full terms that invoices have in force at each month's end."""
        of: dict[str, list[Invoice]] = defaultdict(list)
        for invoice in self.invoices:
            if invoice.subscription_id:
                of[invoice.subscription_id].append(invoice)
        found = []
        for month in (p for p in self.periods if p.kind == "month"):
            t = self.end(month)
            for invoices in of.values():
                amount = self._in_force(invoices, t)
                found.append(
                    (self.account(invoices[0].customer_id), month.start, invoices[0].currency, amount)
                )
        return self._summed(found)

    def _in_force(self, invoices: list[Invoice], t: datetime) -> Decimal:
        lines = [
            line
            for invoice in invoices
            if invoice.created_at < t
            for line in invoice.lines
            if line.item_id and not line.is_proration and line.period_start < t <= line.period_end
        ]
        latest = max((line.period_start for line in lines), default=t)
        total = Fraction(0)
        for line in lines:
            price = self.revenue.prices[line.price_id]
            if line.period_start == latest and price.interval is not None:
                total += monthly(line.amount - line.discount, price.interval, price.interval_count)
        return cents(total)

    @cached_property
    def cash(self) -> Amounts:
        """Payments less refunds of each month."""
        customers = {p.id: p.customer_id for p in self.world.billing.payments}
        found = [
            (self.account(p.customer_id), p.attempted_at.date().replace(day=1), p.currency, p.amount)
            for p in self.world.billing.payments
            if p.status == "succeeded"
        ]
        found += [
            (
                self.account(customers[r.payment_id]),
                r.refunded_at.date().replace(day=1),
                r.currency,
                -r.amount,
            )
            for r in self.world.billing.refunds
        ]
        return self._summed(found)

    @cached_property
    def not_live(self) -> Amounts:
        """What is won, but not served yet, at each month's end."""
        first: dict[str, datetime] = {}
        ended = {s.id: s.ended_at for s in self.world.billing.subscriptions}
        for subscriptions in self.revenue.subscriptions.values():
            for one in subscriptions:
                paid_from = max(one.started_at, one.trial_end or one.started_at)
                if one.ended_at is None or paid_from < one.ended_at:
                    first[one.id] = paid_from
        found: Amounts = defaultdict(lambda: ZERO)
        for deal in self.sold:
            if deal.outcome != "won" or deal.closed_at is None or deal.account is None:
                continue
            known = deal.subscription_id in ended
            if not known and deal.kind != "new_business":
                continue
            live = first.get(deal.subscription_id or "") if known else self._live_since(deal, first)
            gone = ended[deal.subscription_id or ""] if known else None
            for month in (p for p in self.periods if p.kind == "month"):
                t = self.end(month)
                waits = (live is None or live >= t) and (gone is None or gone >= t)
                if deal.closed_at < t and waits:
                    found[deal.account, month.start] += deal.amount or ZERO
        return {key: amount for key, amount in found.items() if amount}

    def _live_since(self, deal: Opportunity, first: dict[str, datetime]) -> datetime | None:
        """When a deal that names no subscription was first served by any of its account."""
        assert deal.closed_at is not None and deal.account is not None
        return min(
            (
                max(first[one.id], deal.closed_at)
                for one in self.revenue.subscriptions.get(deal.account, [])
                if one.id in first and (one.ended_at is None or one.ended_at > deal.closed_at)
            ),
            default=None,
        )
