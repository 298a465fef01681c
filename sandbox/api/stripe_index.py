"""The sandbox company's billing records, found by id and by parent, for Stripe's API."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.world import Discount, Payment, Refund, World

#: Currencies whose smallest unit is the unit itself.
ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"}
    | {"PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)


def minor(amount: Decimal, currency: str) -> int:
    """An amount in the currency's smallest unit."""
    return int(amount if currency.upper() in ZERO_DECIMAL else amount * 100)


def epoch(moment: datetime | None) -> int | None:
    """Seconds since 1970, or None."""
    return None if moment is None else int(moment.timestamp())


#: Invoice -> the customer's name and e-mail when it was finalised, where an edit has changed them since.
BilledTo = dict[str, tuple[str | None, str | None]]


@dataclass
class Coupon:
    """What discounts of one coupon have in common (Stripe's coupon)."""

    id: str
    percent_off: Decimal | None
    amount_off: Decimal | None
    currency: str | None
    duration: str
    duration_in_months: int | None
    created_at: datetime


class Index:
    """The billing records by id and by parent, for one world at one time."""

    def __init__(self, world: World, billed_to: BilledTo | None = None) -> None:
        billing = world.billing
        self.world = world
        self.billed_to = {} if billed_to is None else billed_to
        self.now = world.now
        self.sizes = self.sizes_of(world)
        self.customers = {record.id: record for record in billing.customers}
        self.products = {record.id: record for record in billing.products}
        self.prices = {record.id: record for record in billing.prices}
        self.subscriptions = {record.id: record for record in billing.subscriptions}
        self.discounts = {record.id: record for record in billing.discounts}
        self.invoices = {record.id: record for record in billing.invoices}
        self.charges = {record.id: record for record in billing.payments}
        self.refunds = {record.id: record for record in billing.refunds}
        self.credit_notes = {record.id: record for record in billing.credit_notes}
        self.coupons: dict[str, Coupon] = {}
        self.discounts_of: dict[str, list[Discount]] = defaultdict(list)
        for discount in billing.discounts:
            self.discounts_of[discount.subscription_id].append(discount)
            self.coupons.setdefault(
                discount.coupon_id,
                Coupon(
                    discount.coupon_id,
                    discount.percent_off,
                    discount.amount_off,
                    discount.currency,
                    discount.duration,
                    discount.duration_in_months,
                    discount.starts_at,
                ),
            )
        self.payments_of: dict[str, list[Payment]] = defaultdict(list)
        for payment in billing.payments:
            self.payments_of[payment.invoice_id].append(payment)
        self.refunds_of: dict[str, list[Refund]] = defaultdict(list)
        for refund in billing.refunds:
            self.refunds_of[refund.payment_id].append(refund)
        self.latest_invoice = {
            invoice.subscription_id: invoice.id for invoice in billing.invoices if invoice.subscription_id
        }

    @staticmethod
    def sizes_of(world: World) -> tuple[int, ...]:
        """Lengths of the lists: a new record anywhere shows here."""
        billing = world.billing
        lists: tuple[list[Any], ...] = (
            billing.customers,
            billing.products,
            billing.prices,
            billing.subscriptions,
            billing.discounts,
            billing.invoices,
            billing.payments,
            billing.refunds,
            billing.credit_notes,
        )
        return tuple(len(records) for records in lists)

    def is_fresh(self, world: World) -> bool:
        """Whether this index still describes the world."""
        return self.world is world and self.now == world.now and self.sizes == self.sizes_of(world)
