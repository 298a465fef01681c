"""Chargebee's shapes of customers, price list, coupons and subscriptions (API v2, Product Catalog 2.0).

In: `World.billing` records. Out: dicts as Chargebee sends them: no null fields, amounts in the currency's
smallest unit, times in epoch seconds. The link to the CRM is a custom field of the site, `cf_crm_account_id`.
What a subscription was before (items, pauses, coupons that have run out) is not in it, as in Chargebee.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.api.chargebee_index import Index
from sandbox.api.stripe_index import Coupon, epoch, minor
from sandbox.world import Customer, ItemVersion, Pause, Price, Product, Subscription

Json = dict[str, Any]

#: World -> Chargebee. A subscription with unpaid invoices is still active.
STATUS = {"trialing": "in_trial", "canceled": "cancelled"}


def present(**fields: Any) -> Json:
    """Chargebee leaves out what is not set."""
    return {name: value for name, value in fields.items() if value is not None}


def versioned(updated_at: datetime, is_deleted: bool) -> Json:
    """What every record ends with."""
    stamp = int(updated_at.timestamp())
    return {"updated_at": stamp, "resource_version": stamp * 1000, "deleted": is_deleted}


class CatalogueShapes:
    """Renders records; `deleted` are those deleted through the API, with the time."""

    def __init__(self, index: Index, deleted: dict[str, datetime]) -> None:
        self.index = index
        self.deleted = deleted
        #: Prices by product: what kind of item it is.
        self.one_off = {price.product_id for price in index.prices.values() if price.interval is None}

    def item_type(self, product: Product) -> str:
        """plan, addon or charge."""
        if product.id in self.one_off:
            return "charge"
        return "addon" if "add-on" in product.name else "plan"

    def customer(self, record: Customer) -> Json:
        """A customer."""
        return present(
            id=record.id,
            company=record.name,
            email=record.email,
            vat_number=record.tax_id,
            auto_collection="on",
            net_term_days=0,
            allow_direct_debit=False,
            created_at=epoch(record.created_at),
            taxability="taxable",
            pii_cleared="active",
            object="customer",
            billing_address=record.country and {"country": record.country, "object": "billing_address"},
            card_status="no_card",
            promotional_credits=0,
            refundable_credits=0,
            excess_payments=0,
            unbilled_charges=0,
            preferred_currency_code=record.currency,
            cf_crm_account_id=record.crm_account_id,
            **versioned(record.updated_at, record.deleted_at is not None),
        )

    def item(self, record: Product) -> Json:
        """A plan, add-on or charge."""
        body = present(
            id=record.id,
            name=record.name,
            external_name=record.name,
            status="active",
            item_family_id="default",
            type=self.item_type(record),
            is_shippable=False,
            is_giftable=False,
            enabled_for_checkout=True,
            enabled_in_portal=True,
            item_applicability="all",
            metered=False,
            object="item",
            **versioned(record.created_at, False),
        )
        return body

    def item_price(self, record: Price) -> Json:
        """A price; its own name tells currency and period, as names must differ."""
        every = f"{record.interval_count or 1} {record.interval}" if record.interval else "once"
        return present(
            id=record.id,
            name=f"{record.nickname} {record.currency} {every}",
            external_name=record.nickname,
            item_family_id="default",
            item_id=record.product_id,
            item_type=self.item_type(self.index.products[record.product_id]),
            status="active",
            pricing_model="per_unit",
            price=minor(record.unit_amount, record.currency),
            currency_code=record.currency,
            period=(record.interval_count or 1) if record.interval else None,
            period_unit=record.interval,
            free_quantity=0,
            is_taxable=True,
            created_at=epoch(record.created_at),
            object="item_price",
            **versioned(record.created_at, False),
        )

    def coupon(self, record: Coupon) -> Json:
        """A coupon on whole invoices."""
        off = record.amount_off
        return present(
            id=record.id,
            name=record.id,
            discount_type="percentage" if off is None else "fixed_amount",
            discount_percentage=None if record.percent_off is None else float(record.percent_off),
            discount_amount=None if off is None else minor(off, record.currency or "USD"),
            currency_code=None if off is None else record.currency,
            duration_type="forever" if record.duration == "forever" else "limited_period",
            period=record.duration_in_months,
            period_unit="month" if record.duration_in_months else None,
            status="active",
            apply_discount_on="not_applicable",
            apply_on="invoice_amount",
            created_at=epoch(record.created_at),
            object="coupon",
            **versioned(record.created_at, False),
        )

    def _item(self, item: ItemVersion) -> Json:
        price = self.index.prices[item.price_id]
        listed = price.unit_amount if item.unit_amount is None else item.unit_amount
        unit = minor(listed, price.currency)
        return {
            "item_price_id": price.id,
            "item_type": self.item_type(self.index.products[price.product_id]),
            "quantity": item.quantity,
            "unit_price": unit,
            "amount": unit * item.quantity,
            "free_quantity": 0,
            "object": "subscription_item",
        }

    def pause(self, record: Subscription) -> Pause | None:
        """The pause that is on."""
        if record.ended_at is not None:
            return None
        return next(
            (p for p in record.pauses if p.resumed_at is None or p.resumed_at > self.index.now),
            None,
        )

    def status(self, record: Subscription) -> str:
        """Chargebee's status."""
        if record.ended_at is not None:
            return "cancelled"
        if self.pause(record) is not None:
            return "paused"
        if record.cancel_at_period_end or record.cancel_at is not None:
            return "non_renewing"
        return STATUS.get(record.status, "active")

    def subscription(self, record: Subscription) -> Json:
        """A subscription with its present items (its last ones, when it has ended)."""
        until = record.ended_at or self.index.now
        items = [item for item in record.items if item.valid_to is None or item.valid_to >= until]
        touched = max(record.updated_at, self.deleted.get(record.id, record.updated_at))
        coupons = [
            present(
                coupon_id=discount.coupon_id,
                apply_till=epoch(discount.ends_at),
                applied_count=self.index.applied[discount.id],
                object="coupon",
            )
            for discount in self.index.discounts_of[record.id]
            if discount.ends_at is None or discount.ends_at > record.updated_at
        ]
        status, pause = self.status(record), self.pause(record)
        in_trial = record.trial_end is not None and record.current_period_start < record.trial_end
        unpaid = record.cancellation_reason == "payment_failed"
        ends = record.ended_at or record.cancel_at
        if ends is None and record.cancel_at_period_end:
            ends = record.current_period_end
        return present(
            id=record.id,
            customer_id=record.customer_id,
            status=status,
            currency_code=record.currency,
            auto_collection="on",
            created_at=epoch(record.created_at),
            started_at=epoch(record.started_at),
            activated_at=None if status == "in_trial" else epoch(record.trial_end or record.started_at),
            trial_start=epoch(record.trial_start),
            trial_end=epoch(record.trial_end),
            current_term_start=None if in_trial else epoch(self._term(record)[0]),
            current_term_end=None if in_trial else epoch(self._term(record)[1]),
            next_billing_at=epoch(record.current_period_end) if status in ("active", "in_trial") else None,
            pause_date=epoch(pause.paused_at) if pause else None,
            resume_date=epoch(pause.resumed_at) if pause else None,
            cancelled_at=epoch(ends),
            cancel_reason="not_paid" if unpaid and ends else None,
            cancel_reason_code=None if unpaid or not record.cancellation_reason else "Customer request",
            cancel_schedule_created_at=epoch(record.canceled_at) if record.cancel_at else None,
            billing_period=self._period(items)[0],
            billing_period_unit=self._period(items)[1],
            has_scheduled_changes=False,
            subscription_items=[self._item(item) for item in items],
            coupons=coupons or None,
            object="subscription",
            **versioned(touched, record.id in self.deleted),
        )

    def _term(self, record: Subscription) -> tuple[datetime, datetime]:
        """The present term; while a pause is on, none follows the last one before it."""
        pause = self.pause(record)
        if pause is None or pause.paused_at > record.current_period_start:
            return record.current_period_start, record.current_period_end
        before = [
            line
            for invoice in self.index.invoices_of[record.id]
            for line in invoice.lines
            if line.item_id is not None and line.period_end == pause.paused_at
        ]
        return min((line.period_start for line in before), default=pause.paused_at), pause.paused_at

    def _period(self, items: list[ItemVersion]) -> tuple[int | None, str | None]:
        price = self.index.prices[items[0].price_id] if items else None
        return (price.interval_count or 1, price.interval) if price else (None, None)
