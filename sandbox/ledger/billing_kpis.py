"""The KPIs of invoices, payments and contracts by period."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from sandbox.ledger.arithmetic import ZERO, Period, cents, last_day_before, next_month
from sandbox.ledger.billing import Billing
from sandbox.world import Payment

GRACE = timedelta(days=30)
#: KPI -> numerator, denominator.
Pairs = dict[str, tuple[Decimal | None, Decimal | None]]


class BillingKpis:
    """Numerators and denominators; `margin` is the gross margin."""

    def __init__(self, billing: Billing, margin: Decimal) -> None:
        self.billing, self.margin = billing, margin
        self.invoices = [i for i in billing.invoices if i.amount_due > 0]
        self.attempts: dict[str, list[Payment]] = defaultdict(list)
        for payment in sorted(billing.world.billing.payments, key=lambda p: p.attempted_at):
            self.attempts[payment.invoice_id].append(payment)

    def rows(self, period: Period, mrr: Decimal) -> Pairs:
        """Every KPI that the period has; `mrr` is the company's at its end."""
        end = self.billing.end(period)
        closing = last_day_before(end).replace(day=1)
        not_live = sum(
            (amount for (_, month), amount in self.billing.not_live.items() if month == closing), ZERO
        )
        return {
            "contracted_arr": (12 * mrr + not_live, Decimal(1)),
            "clv_historic": self._earned_until(closing),
            **self._collected(period, end, closing),
            **self._recovered(period),
        }

    @cached_property
    def _earned(self) -> dict[tuple[str, date], Decimal]:
        world = self.billing.world
        bills = {i.id: i for i in world.billing.invoices}
        payments = {p.id: p for p in world.billing.payments}
        moved = [(p, p.amount, p.attempted_at, 1) for p in payments.values() if p.status == "succeeded"]
        moved += [(payments[r.payment_id], r.amount, r.refunded_at, -1) for r in world.billing.refunds]
        found: dict[tuple[str, date], Decimal] = defaultdict(lambda: ZERO)
        for payment, amount, at, sign in moved:
            bill, month = bills[payment.invoice_id], at.date().replace(day=1)
            day = last_day_before(self.billing.end(Period("month", month, next_month(month))))
            rate = self.billing.revenue.exchange.rate(payment.currency, day)
            net = Fraction(amount * rate) * Fraction(bill.total - bill.tax) / Fraction(bill.total)
            found[self.billing.account(payment.customer_id), month] += sign * cents(net)
        return found

    def _earned_until(self, closing: date) -> tuple[Decimal, Decimal]:
        until = {key: amount for key, amount in self._earned.items() if key[1] <= closing}
        payers = Decimal(len({account for account, _ in until}))
        return sum(until.values(), ZERO) * self.margin, payers

    def _collected(self, period: Period, end: datetime, closing: date) -> Pairs:
        now, convert = self.billing.world.now, self.billing.convert
        days = (last_day_before(end) - max(period.start, self.billing.periods[0].start)).days + 1
        owed = invoiced = judged = in_terms = ZERO
        for invoice in self.invoices:
            paid = invoice.paid_at
            if (
                invoice.created_at < end
                and (paid is None or paid >= end)
                and invoice.status != "uncollectible"
            ):
                owed += convert(invoice.amount_due, invoice.currency, closing) * days
            if not period.holds(invoice.created_at):
                continue
            amount = convert(invoice.amount_due, invoice.currency, invoice.created_at.date().replace(day=1))
            due = invoice.due_at or invoice.created_at + GRACE
            invoiced += amount
            judged += amount if paid is not None or due < now else ZERO
            in_terms += amount if paid is not None and paid <= due else ZERO
        return {"dso_days": (owed, invoiced), "collection_rate": (in_terms, judged)}

    def _recovered(self, period: Period) -> Pairs:
        failed = recovered = 0
        failed_value = recovered_value = ZERO
        for invoice in self.invoices:
            attempts = self.attempts[invoice.id]
            if not attempts or attempts[0].status != "failed" or not period.holds(attempts[0].attempted_at):
                continue
            first = attempts[0].attempted_at
            saved = any(p.status == "succeeded" and p.attempted_at <= first + GRACE for p in attempts)
            if not saved and first + GRACE >= self.billing.world.now:
                continue
            amount = self.billing.convert(invoice.amount_due, invoice.currency, first.date().replace(day=1))
            failed, failed_value = failed + 1, failed_value + amount
            if saved:
                recovered, recovered_value = recovered + 1, recovered_value + amount
        return {
            "dunning_recovery_rate": (Decimal(recovered), Decimal(failed)),
            "dunning_recovery_rate_value": (recovered_value, failed_value),
        }
