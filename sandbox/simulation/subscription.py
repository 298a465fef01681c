"""One subscription: its cycles, changes, pauses, failed payments and end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.simulation.account import Account
from sandbox.simulation.catalogue import INTERVALS
from sandbox.simulation.invoicing import Invoicing, cents
from sandbox.simulation.timeline import add_months
from sandbox.world import Discount, Invoice, InvoiceLine, ItemVersion, Pause, Price, Subscription

#: How a failed payment ends: days of the failed retries, day of the outcome (low, high).
DUNNING: dict[str, tuple[tuple[int, ...], tuple[float, float]]] = {
    "recovered": ((3,), (5, 12)),
    "recovered_late": ((3, 7, 14, 21, 28), (33, 44)),
    "lost": ((3, 7, 14, 20), (22, 27)),
    "lost_late": ((3, 7, 14, 21, 28), (34, 40)),
}


@dataclass
class Coupon:
    """A discount to give: percent or amount, for some months or (None) forever."""

    percent: int | None
    amount: int | None
    months: int | None


class Plan:
    """Runs a subscription on its account's timeline."""

    def __init__(
        self,
        account: Account,
        invoicing: Invoicing,
        lines: list[tuple[str, int]],
        interval: str,
        *,
        trial_days: int = 0,
        coupon: Coupon | None = None,
        with_onboarding: bool = False,
        on_end: Callable[[Plan], None] | None = None,
        on_period: Callable[[Plan], None] | None = None,
    ) -> None:
        t = account.t
        self.account, self.invoicing, self.interval = account, invoicing, interval
        self.on_end, self.on_period = on_end, on_period
        self.pause_periods = 0
        self.fails_next: str | None = None
        self.never_fails = False
        self._anchor, self._turn = t, 0
        self._epoch = 0
        self._open: list[Invoice] = []
        self._tries: dict[str, int] = defaultdict(lambda: 1)
        self.discount: Discount | None = None
        trial_end = t + timedelta(days=trial_days) if trial_days else None
        end = trial_end or add_months(t, INTERVALS[interval][2])
        self.record = Subscription(
            id=account.next_id("subscription", 2, "sub_"),
            customer_id=invoicing.customer.id,
            status="trialing" if trial_days else "active",
            currency=invoicing.customer.currency,
            created_at=t,
            updated_at=t,
            started_at=t,
            trial_start=t if trial_days else None,
            trial_end=trial_end,
            current_period_start=t,
            current_period_end=end,
        )
        self.record.history["status"] = [(t, self.record.status)]
        account.world.billing.subscriptions.append(self.record)
        account.subscriptions.append(self)
        for product, quantity in lines:
            self._add_item(product, quantity)
        if coupon is not None:
            self._give(coupon)
        if trial_end:
            self._anchor = trial_end
        found = self._lines(free=bool(trial_days))
        if with_onboarding and not trial_days:
            fee = invoicing.catalogue.price("onboarding", self.record.currency, None)
            found.append(invoicing.line(fee, None, 1, (t, t)))
        invoice = invoicing.issue(found, "subscription_create", self.record.id)
        invoicing.collect_soon(invoice, self._collect)
        account.line.at(end, self._cycle, self._epoch)
        if self.on_period is not None and not trial_days:
            self.on_period(self)

    # ------------------------------------------------------------ state

    def price(self, product: str) -> Price:
        """List price at this subscription's currency and interval."""
        return self.invoicing.catalogue.price(product, self.record.currency, self.interval)

    def present(self) -> list[ItemVersion]:
        """The items in force, the plan before its add-ons."""
        found = [item for item in self.record.items if item.valid_to is None]
        return sorted(found, key=lambda item: item.item_id)

    def product(self, item: ItemVersion) -> str:
        """The product an item is of."""
        return self.invoicing.catalogue.prices[item.price_id].product_id.removeprefix("prod_")

    @property
    def is_paused(self) -> bool:
        """In a paused period."""
        return bool(self.record.pauses) and self.record.pauses[-1].resumed_at is None

    @property
    def can_change(self) -> bool:
        """Paid for, running on, and well inside its period."""
        record, t = self.record, self.account.t
        settled = record.status == "active" and not self.is_paused and not record.cancel_at_period_end
        inside = (
            record.current_period_start + timedelta(hours=3)
            < t
            < record.current_period_end - timedelta(hours=3)
        )
        return settled and inside and not self._open

    def yearly(self) -> Decimal:
        """Worth in a year at list price, less a discount that has no end."""
        find = self.invoicing.catalogue.yearly
        total = sum(
            (find(self.product(i), i.quantity, self.record.currency, self.interval) for i in self.present()),
            Decimal(0),
        )
        if self.discount and self.discount.ends_at is None and self.discount.percent_off:
            total = cents(total * (100 - self.discount.percent_off) / 100)
        return total

    def touch(self) -> None:
        """Mark the record as changed now."""
        self.account.put(self.record)

    def _add_item(self, product: str, quantity: int) -> ItemVersion:
        key = self.account.next_id("item", 3, "si_")
        item = ItemVersion(key, self.price(product).id, quantity, self.account.t)
        self.record.items.append(item)
        return item

    def _give(self, coupon: Coupon) -> None:
        t, record = self.account.t, self.record
        size = f"{coupon.percent}PCT" if coupon.percent else f"{coupon.amount}{record.currency}"
        months = coupon.months
        self.discount = Discount(
            id=self.account.next_id("discount", 2, "di_"),
            coupon_id=f"{size}-{f'{months}M' if months else 'FOREVER'}",
            customer_id=record.customer_id,
            subscription_id=record.id,
            percent_off=Decimal(coupon.percent) if coupon.percent else None,
            amount_off=Decimal(coupon.amount) if coupon.amount else None,
            currency=record.currency if coupon.amount else None,
            starts_at=t,
            duration="repeating" if months else "forever",
            duration_in_months=months,
            ends_at=add_months(t, months) if months else None,
        )
        self.account.world.billing.discounts.append(self.discount)

    @property
    def discounted(self) -> bool:
        """Whether a discount is in force."""
        found = self.discount
        return found is not None and (found.ends_at is None or found.ends_at > self.account.t)

    # ------------------------------------------------------------ periods

    def _lines(self, free: bool = False) -> list[InvoiceLine]:
        """The lines of the present period; a discount by amount comes off the first ones."""
        record, found = self.record, []
        period = (record.current_period_start, record.current_period_end)
        left = self.discount.amount_off if self.discount and self.discount.amount_off else Decimal(0)
        for item in self.present():
            price = self.invoicing.catalogue.prices[item.price_id]
            off: tuple[str, Decimal] | None = None
            if self.discount and self.discounted and not free:
                amount = price.unit_amount * item.quantity
                by_percent = cents(amount * (self.discount.percent_off or 0) / 100)
                part = by_percent if self.discount.percent_off else min(left, amount)
                left -= part if not self.discount.percent_off else 0
                off = (self.discount.id, part)
            share = Decimal(0) if free else Decimal(1)
            found.append(
                self.invoicing.line(price, item.item_id, item.quantity, period, share=share, discount=off)
            )
        return found

    def _cycle(self, epoch: int) -> None:
        """A period ends: the subscription ends with it or the next one is billed."""
        record, t = self.record, self.account.t
        if epoch != self._epoch or record.ended_at is not None:
            return
        if record.cancel_at_period_end:
            self._end()
            return
        if record.status == "trialing":
            self.account.put(record, status="active")
        else:
            self._turn += 1
        step = INTERVALS[self.interval][2]
        record.current_period_start = t
        record.current_period_end = add_months(self._anchor, step * (self._turn + 1))
        self.touch()
        lines = self._lines()
        pauses = self.pause_periods > 0 and record.status == "active" and not self._open
        if pauses and not self.is_paused:
            record.pauses.append(Pause(t))
        elif not pauses and self.is_paused:
            record.pauses[-1].resumed_at = t
        invoice = self.invoicing.issue(lines, "subscription_cycle", record.id, void=pauses)
        if pauses:
            self.pause_periods -= 1
        else:
            self.invoicing.collect_soon(invoice, self._collect)
        self.account.line.at(record.current_period_end, self._cycle, self._epoch)
        if self.on_period is not None:
            self.on_period(self)

    # ------------------------------------------------------------ changes

    def change(
        self,
        quantities: dict[str, int],
        products: dict[str, str] | None = None,
        add: list[tuple[str, int]] | None = None,
        interval: str | None = None,
    ) -> None:
        """Change items now (item id -> quantity, 0 drops it; item id -> product), invoiced at once."""
        t, record = self.account.t, self.record
        restart = interval is not None and interval != self.interval
        old_end = record.current_period_end
        period = old_end - record.current_period_start
        share = Decimal(int((old_end - t).total_seconds())) / Decimal(int(period.total_seconds()))
        lines: list[InvoiceLine] = []
        if restart:
            assert interval is not None
            self.interval = interval
            self._anchor, self._turn, self._epoch = t, 0, self._epoch + 1
            record.current_period_start = t
            record.current_period_end = add_months(t, INTERVALS[interval][2])
        for item in self.present():
            product = (products or {}).get(item.item_id, self.product(item))
            quantity, price = quantities.get(item.item_id, item.quantity), self.price(product)
            if price.id == item.price_id and quantity == item.quantity:
                continue
            old = self.invoicing.catalogue.prices[item.price_id]
            lines.append(
                self.invoicing.line(
                    old, item.item_id, item.quantity, (t, old_end), share=-share, proration=True
                )
            )
            item.valid_to = t
            if quantity:
                record.items.append(ItemVersion(item.item_id, price.id, quantity, t))
                if not restart:
                    lines.append(self._charge(price, item.item_id, quantity, (t, old_end), share))
        for product, quantity in add or []:
            added = self._add_item(product, quantity)
            if not restart:
                price = self.price(product)
                lines.append(self._charge(price, added.item_id, quantity, (t, old_end), share))
        if restart:
            lines += self._lines()
            self.account.line.at(record.current_period_end, self._cycle, self._epoch)
        self.touch()
        invoice = self.invoicing.issue(lines, "subscription_update", record.id)
        self.invoicing.collect_soon(invoice, self._collect_surely)
        if restart and self.on_period is not None:
            self.on_period(self)

    def _charge(
        self, price: Price, item_id: str, quantity: int, period: tuple[datetime, datetime], share: Decimal
    ) -> InvoiceLine:
        return self.invoicing.line(price, item_id, quantity, period, share=share, proration=True)

    # ------------------------------------------------------------ payments

    def _collect_surely(self, invoice: Invoice) -> None:
        self.invoicing.attempt(invoice, 1, True)

    def _collect(self, invoice: Invoice) -> None:
        """The first attempt on a period's invoice."""
        record, rng = self.record, self.account.rng
        if record.ended_at is not None or invoice.status != "open":
            return
        if self._open:
            self._open.append(invoice)
            self.invoicing.attempt(invoice, 1, False)
            return
        fate = None
        if invoice.billing_reason == "subscription_cycle" and not self.never_fails:
            fate, self.fails_next = self.fails_next, None
            if fate is None and rng.random() < 0.03:
                fate = rng.choices(tuple(DUNNING), (60, 6, 30, 4))[0]
        alone = len(self.account.subscriptions) == 1 and self.interval == "month"
        if fate and fate.endswith("_late") and not alone:
            fate = fate.removesuffix("_late")
        self.invoicing.attempt(invoice, 1, fate is None)
        if fate is None:
            return
        self._open.append(invoice)
        self.account.put(record, status="past_due")
        self.account.put(self.invoicing.customer, delinquent=True)
        retries, (low, high) = DUNNING[fate]
        for day in retries:
            self.account.line.after(day, day + 0.1, self._retry, False)
        if fate.startswith("recovered"):
            self.account.line.after(low, high, self._retry, True)
        else:
            self.account.line.after(low, high, self._give_up)

    def _retry(self, succeeds: bool) -> None:
        if self.record.ended_at is not None or not self._open:
            return
        for invoice in self._open:
            self._tries[invoice.id] += 1
            self.invoicing.attempt(invoice, self._tries[invoice.id], succeeds)
        if succeeds:
            self._open.clear()
            self.account.put(self.record, status="active")
            self.account.put(self.invoicing.customer, delinquent=False)

    def _give_up(self) -> None:
        if self.record.ended_at is None and self._open:
            self.account.put(self.record, canceled_at=self.account.t, cancellation_reason="payment_failed")
            self._end()

    # ------------------------------------------------------------ the end

    def cancel_at_period_end(self) -> None:
        """The customer gives notice."""
        record = self.record
        self.account.put(
            record,
            cancel_at_period_end=True,
            cancel_at=record.current_period_end,
            canceled_at=self.account.t,
            cancellation_reason="cancellation_requested",
        )

    def cancel_now(self) -> None:
        """The customer leaves at once."""
        self.account.put(
            self.record, canceled_at=self.account.t, cancellation_reason="cancellation_requested"
        )
        self._end()

    def _end(self) -> None:
        t, record = self.account.t, self.record
        for invoice in self._open:
            self.account.put(invoice, status="uncollectible")
        self._open.clear()
        for item in self.present():
            item.valid_to = t
        self.account.put(record, status="canceled", ended_at=t)
        if self.on_end is not None:
            self.on_end(self)
