"""Stripe's shapes of customers, price list, discounts and subscriptions.

In: `World.billing` records. Out: dicts in the shape of a Stripe API version: versions before
2025-03-31 keep a subscription's period at the top level, later ones on its items; before
2025-09-30 a discount embeds its coupon, later it links it through `source`.
Left out on purpose: fields that carry nothing here (addresses beyond the country, tax settings,
test clocks, ...). Amounts are in minor units, times in epoch seconds, as Stripe sends them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.api.stripe_index import Coupon, Index, epoch, minor
from sandbox.world import Customer, Discount, ItemVersion, Price, Product, Subscription

Json = dict[str, Any]

CURRENT_VERSION = "2025-09-30.clover"
#: First version with the current places of period, subscription link, payments and tax.
FIRST_CURRENT = "2025-03-31"
#: First version whose discounts link their coupon.
FIRST_LINKED_COUPON = "2025-09-30"
#: A subscription embeds at most this many items.
EMBEDDED_ITEMS = 10


class CatalogueShapes:
    """Renders records in one API version, with the expansions a request asked for."""

    def __init__(self, index: Index, version: str = CURRENT_VERSION, expand: Iterable[str] = ()) -> None:
        self.index = index
        self.current = version[:10] >= FIRST_CURRENT
        self.links_coupons = version[:10] >= FIRST_LINKED_COUPON
        self.expand = {path.removeprefix("data.") for path in expand}

    def _expands(self, path: str) -> bool:
        return any(asked == path or asked.startswith(path + ".") for asked in self.expand)

    def customer(self, record: Customer) -> Json:
        """A customer; its tax ids only when expanded."""
        body: Json = {
            "id": record.id,
            "object": "customer",
            "address": {"country": record.country} if record.country else None,
            "balance": 0,
            "created": epoch(record.created_at),
            "currency": record.currency.lower(),
            "delinquent": record.delinquent,
            "description": None,
            "email": record.email,
            "livemode": False,
            "metadata": {"hubspot_company_id": record.crm_account_id} if record.crm_account_id else {},
            "name": record.name,
            "phone": None,
        }
        if not self.current:
            body["discount"] = None
        if self._expands("tax_ids"):
            ids = [{"id": f"txi_{record.id}", "object": "tax_id", "value": record.tax_id}]
            url = f"/v1/customers/{record.id}/tax_ids"
            body["tax_ids"] = {
                "object": "list",
                "data": ids if record.tax_id else [],
                "has_more": False,
                "url": url,
            }
        return body

    def product(self, record: Product) -> Json:
        """A product."""
        return {
            "id": record.id,
            "object": "product",
            "active": True,
            "created": epoch(record.created_at),
            "livemode": False,
            "metadata": {},
            "name": record.name,
            "type": "service",
            "updated": epoch(record.created_at),
        }

    def price(self, record: Price) -> Json:
        """A price; `recurring` is null for one-off charges."""
        amount = minor(record.unit_amount, record.currency)
        recurring = record.interval and {
            "interval": record.interval,
            "interval_count": record.interval_count or 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
        return {
            "id": record.id,
            "object": "price",
            "active": True,
            "billing_scheme": "per_unit",
            "created": epoch(record.created_at),
            "currency": record.currency.lower(),
            "livemode": False,
            "metadata": {},
            "nickname": record.nickname,
            "product": record.product_id,
            "recurring": recurring or None,
            "tiers_mode": None,
            "type": "recurring" if recurring else "one_time",
            "unit_amount": amount,
            "unit_amount_decimal": str(amount),
        }

    def coupon(self, record: Coupon) -> Json:
        """A coupon."""
        off = record.amount_off
        return {
            "id": record.id,
            "object": "coupon",
            "amount_off": None if off is None else minor(off, record.currency or "USD"),
            "created": epoch(record.created_at),
            "currency": record.currency.lower() if record.currency and off is not None else None,
            "duration": record.duration,
            "duration_in_months": record.duration_in_months,
            "livemode": False,
            "metadata": {},
            "name": record.id,
            "percent_off": None if record.percent_off is None else float(record.percent_off),
            "valid": True,
        }

    def discount(self, record: Discount) -> Json:
        """A discount; the coupon is embedded (old) or linked through `source` (current)."""
        coupon = self.coupon(self.index.coupons[record.coupon_id])
        body: Json = {
            "id": record.id,
            "object": "discount",
            "checkout_session": None,
            "customer": record.customer_id,
            "end": epoch(record.ends_at),
            "invoice": None,
            "invoice_item": None,
            "promotion_code": None,
            "start": epoch(record.starts_at),
            "subscription": record.subscription_id,
        }
        if self.links_coupons:
            linked = coupon if self._expands("discounts.source.coupon") else record.coupon_id
            body["source"] = {"type": "coupon", "coupon": linked}
        else:
            body["coupon"] = coupon
        return body

    def _discounts(self, records: list[Discount]) -> list[Any]:
        if self._expands("discounts"):
            return [self.discount(record) for record in records]
        return [record.id for record in records]

    def _item(self, record: Subscription, item: ItemVersion) -> Json:
        body: Json = {
            "id": item.item_id,
            "object": "subscription_item",
            "created": epoch(item.valid_from),
            "metadata": {},
            "price": self.price(self.index.prices[item.price_id]),
            "quantity": item.quantity,
            "subscription": record.id,
        }
        if self.current:
            body["current_period_start"] = epoch(record.current_period_start)
            body["current_period_end"] = epoch(record.current_period_end)
        return body

    def items(self, record: Subscription) -> list[Json]:
        """A subscription's present items (its last ones, when it has ended)."""
        until = record.ended_at or self.index.now
        present = [item for item in record.items if item.valid_to is None or item.valid_to >= until]
        return [self._item(record, item) for item in present]

    def subscription(self, record: Subscription) -> Json:
        """A subscription with its first items; `items.url` leads to all of them."""
        items = self.items(record)
        until = record.ended_at or self.index.now
        active = [
            discount
            for discount in self.index.discounts_of[record.id]
            if discount.ends_at is None or discount.ends_at > until
        ]
        pause = next(
            (p for p in record.pauses if p.resumed_at is None or p.resumed_at > self.index.now),
            None,
        )
        body: Json = {
            "id": record.id,
            "object": "subscription",
            "billing_cycle_anchor": epoch(record.started_at),
            "cancel_at": epoch(record.cancel_at),
            "cancel_at_period_end": record.cancel_at_period_end,
            "canceled_at": epoch(record.canceled_at),
            "cancellation_details": {
                "comment": None,
                "feedback": None,
                "reason": record.cancellation_reason,
            },
            "collection_method": "charge_automatically",
            "created": epoch(record.created_at),
            "currency": record.currency.lower(),
            "customer": record.customer_id,
            "discounts": self._discounts(active),
            "ended_at": epoch(record.ended_at),
            "items": {
                "object": "list",
                "data": items[:EMBEDDED_ITEMS],
                "has_more": len(items) > EMBEDDED_ITEMS,
                "url": f"/v1/subscription_items?subscription={record.id}",
            },
            "latest_invoice": self.index.latest_invoice.get(record.id),
            "livemode": False,
            "metadata": {},
            "pause_collection": pause and {"behavior": "void", "resumes_at": epoch(pause.resumed_at)},
            "schedule": None,
            "start_date": epoch(record.started_at),
            "status": record.status,
            "trial_end": epoch(record.trial_end),
            "trial_start": epoch(record.trial_start),
        }
        if not self.current:
            body["current_period_start"] = epoch(record.current_period_start)
            body["current_period_end"] = epoch(record.current_period_end)
            body["discount"] = self.discount(active[0]) if active else None
        return body
