"""Stripe's objects as flat raw rows, the same rows whichever API version sent them.

In: objects as Stripe sends them. Out: dicts of a table's declared columns. What moved between versions
is looked up in both places: a subscription's period (top level, or its items), an invoice's subscription
(`subscription`, or `parent`), tax (`tax`, or `total_taxes`) and payment intent (top level, or `payments`),
a line's price, subscription item and proration flag (top level, or `pricing` and `parent`), a discount's
coupon (`coupon`, or `source`). Amounts stay in minor units and currencies in lower case, as sent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ingestion.stripe_fields import DOCUMENTED
from settings.errors import UserError

Json = dict[str, Any]


def read(row: Callable[..., Json], body: Json, *context: Any, is_deleted: bool = False) -> Json:
    """A row, with fields Stripe's documentation does not know beside it, for the load to report and keep."""
    kind = body.get("object", "object")
    try:
        known = row(body, *context) | {"is_deleted": is_deleted}
    except (AttributeError, KeyError, TypeError, IndexError) as exc:
        raise UserError(
            f"a {kind} of Stripe ({body.get('id')}) is not built as documented: {type(exc).__name__}: {exc}. "
            "Nothing was loaded. If Stripe changed it, the connector must be told how to read it"
        ) from exc
    return {name: body[name] for name in body.keys() - DOCUMENTED.get(kind, body.keys())} | known


def _id(value: Any) -> str | None:
    """The id of a link, expanded or not."""
    return value.get("id") if isinstance(value, dict) else value


def _moment(value: Any) -> Any:
    """Epoch seconds as a datetime; anything else is left for the type check to judge."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value


def _exact(decimal: str | None, whole: Any) -> Any:
    """A unit amount, which may have fractions of the smallest unit, as text."""
    exact = decimal if decimal is not None else whole
    return str(exact) if isinstance(exact, int) else exact


def _sum(entries: list[Json] | None) -> Any:
    """The sum of amounts; amounts that are no numbers are left for the type check to judge."""
    amounts = [entry["amount"] for entry in entries or []]
    return sum(amounts) if all(isinstance(amount, int) for amount in amounts) else amounts


def customer(body: Json) -> Json:
    """A row of `customers`; needs `tax_ids` expanded."""
    tax_ids = (body.get("tax_ids") or {}).get("data") or []
    return {
        "id": body["id"],
        "name": body.get("name"),
        "email": body.get("email"),
        "country": (body.get("address") or {}).get("country"),
        "tax_id": tax_ids[0].get("value") if tax_ids else None,
        "currency": body.get("currency"),
        "delinquent": body.get("delinquent"),
        "metadata": body.get("metadata") or {},
        "created": _moment(body.get("created")),
    }


def product(body: Json) -> Json:
    """A row of `products`."""
    return {
        "id": body["id"],
        "name": body.get("name"),
        "active": body.get("active"),
        "metadata": body.get("metadata") or {},
        "created": _moment(body.get("created")),
    }


def price(body: Json) -> Json:
    """A row of `prices`; a one-off price has no interval."""
    recurring = body.get("recurring") or {}
    return {
        "id": body["id"],
        "product_id": _id(body.get("product")),
        "nickname": body.get("nickname"),
        "type": body.get("type"),
        "unit_amount": _exact(body.get("unit_amount_decimal"), body.get("unit_amount")),
        "currency": body.get("currency"),
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "usage_type": recurring.get("usage_type"),
        "active": body.get("active"),
        "created": _moment(body.get("created")),
    }


def _item(body: Json) -> Json:
    """A subscription's present item, price included."""
    of_price = price(body.get("price") or {"id": None})
    kept = ("unit_amount", "currency", "interval", "interval_count")
    return {
        "id": body["id"],
        "price_id": of_price["id"],
        "quantity": body.get("quantity", 1),
        **{key: of_price[key] for key in kept},
    }


def subscription(body: Json, items: list[Json]) -> Json:
    """A row of `subscriptions`; `items` are all its items, child pages included."""
    timed = [item for item in items if item.get("current_period_end")]
    period = body if body.get("current_period_end") else min(timed, key=_period_end, default={})
    pause = body.get("pause_collection")
    discounts = body.get("discounts") or ([body["discount"]] if body.get("discount") else [])
    return {
        "id": body["id"],
        "customer_id": _id(body.get("customer")),
        "status": body.get("status"),
        "currency": body.get("currency"),
        "items": sorted((_item(item) for item in items), key=lambda item: str(item["id"])),
        "discount_ids": sorted(_id(discount) or "" for discount in discounts),
        "pause_behavior": pause.get("behavior") if pause else None,
        "pause_resumes_at": _moment(pause.get("resumes_at")) if pause else None,
        "cancel_at_period_end": body.get("cancel_at_period_end"),
        "cancellation_reason": (body.get("cancellation_details") or {}).get("reason"),
        "metadata": body.get("metadata") or {},
        "created": _moment(body.get("created")),
        "start_date": _moment(body.get("start_date")),
        "trial_start": _moment(body.get("trial_start")),
        "trial_end": _moment(body.get("trial_end")),
        "current_period_start": _moment(period.get("current_period_start")),
        "current_period_end": _moment(period.get("current_period_end")),
        "cancel_at": _moment(body.get("cancel_at")),
        "canceled_at": _moment(body.get("canceled_at")),
        "ended_at": _moment(body.get("ended_at")),
    }


def _period_end(item: Json) -> int:
    end: int = item["current_period_end"]
    return end


def discount(body: Json) -> Json:
    """A row of `discounts`; the coupon is embedded or expanded."""
    source = (body.get("source") or {}).get("coupon")
    coupon = body.get("coupon") or source
    terms = coupon if isinstance(coupon, dict) else {}
    return {
        "id": body["id"],
        "customer_id": _id(body.get("customer")),
        "subscription_id": _id(body.get("subscription")),
        "coupon_id": _id(coupon),
        "percent_off": terms.get("percent_off"),
        "amount_off": terms.get("amount_off"),
        "currency": terms.get("currency") if terms.get("amount_off") is not None else None,
        "duration": terms.get("duration"),
        "duration_in_months": terms.get("duration_in_months"),
        "start": _moment(body.get("start")),
        "end": _moment(body.get("end")),
    }


def invoice(body: Json) -> Json:
    """A row of `invoices`."""
    parent = (body.get("parent") or {}).get("subscription_details") or {}
    moved = body.get("status_transitions") or {}
    tax = body.get("tax")
    if tax is None:
        tax = _sum(body.get("total_taxes") or body.get("total_tax_amounts"))
    return {
        "id": body["id"],
        "number": body.get("number"),
        "customer_id": _id(body.get("customer")),
        "customer_email": body.get("customer_email"),
        "customer_name": body.get("customer_name"),
        "subscription_id": _id(body.get("subscription") or parent.get("subscription")),
        "status": body.get("status"),
        "currency": body.get("currency"),
        "billing_reason": body.get("billing_reason"),
        "subtotal": body.get("subtotal"),
        "discount": _sum(body.get("total_discount_amounts")),
        "tax": tax,
        "total": body.get("total"),
        "amount_paid": body.get("amount_paid"),
        "amount_due": body.get("amount_due"),
        "attempt_count": body.get("attempt_count"),
        "created": _moment(body.get("created")),
        "period_start": _moment(body.get("period_start")),
        "period_end": _moment(body.get("period_end")),
        "due_date": _moment(body.get("due_date")),
        "finalized_at": _moment(moved.get("finalized_at")),
        "paid_at": _moment(moved.get("paid_at")),
        "voided_at": _moment(moved.get("voided_at")),
    }


def invoice_payments(body: Json) -> list[Json]:
    """Rows of `invoice_payments`: the payment intents (or bare charges) that pay an invoice."""
    payments = (body.get("payments") or {}).get("data")
    if payments is None:
        links = [(_id(body.get("payment_intent")), _id(body.get("charge")))]
    else:
        found = [payment.get("payment") or {} for payment in payments]
        links = [(_id(one.get("payment_intent")), _id(one.get("charge"))) for one in found]
    return [
        {
            "invoice_id": body["id"],
            "payment_id": intent or charge,
            "kind": "payment_intent" if intent else "charge",
        }
        for intent, charge in links
        if intent or charge
    ]


def invoice_line(body: Json, invoice_id: str, subscription_id: str | None) -> Json:
    """A row of `invoice_lines`. A subscription's line without a link of its own belongs to the invoice's."""
    parent = body.get("parent") or {}
    of_parent = parent.get(parent.get("type") or "") or {}
    of_price = (body.get("pricing") or {}).get("price_details") or {}
    period = body.get("period") or {}
    discounts = sorted(filter(None, (_id(one) for one in body.get("discounts") or [])))
    proration = of_parent.get("proration") if of_parent else body.get("proration")
    return {
        "id": body["id"],
        "invoice_id": invoice_id,
        "subscription_id": _id(
            body.get("subscription") or of_parent.get("subscription") or subscription_id,
        ),
        "subscription_item_id": _id(body.get("subscription_item") or of_parent.get("subscription_item")),
        "price_id": _id(body.get("price") or body.get("plan") or of_price.get("price")),
        "discount_ids": discounts,
        "description": body.get("description"),
        "quantity": body.get("quantity"),
        "amount": body.get("amount"),
        "discount_amount": _sum(body.get("discount_amounts")),
        "currency": body.get("currency"),
        "is_proration": bool(proration),
        "period_start": _moment(period.get("start")),
        "period_end": _moment(period.get("end")),
    }


def charge(body: Json) -> Json:
    """A row of `charges`; its invoice is found through `invoice_payments`."""
    return {
        "id": body["id"],
        "customer_id": _id(body.get("customer")),
        "payment_intent_id": _id(body.get("payment_intent")),
        "amount": body.get("amount"),
        "amount_refunded": body.get("amount_refunded"),
        "currency": body.get("currency"),
        "status": body.get("status"),
        "failure_code": body.get("failure_code"),
        "created": _moment(body.get("created")),
    }


def refund(body: Json) -> Json:
    """A row of `refunds`."""
    return {
        "id": body["id"],
        "charge_id": _id(body.get("charge")),
        "payment_intent_id": _id(body.get("payment_intent")),
        "amount": body.get("amount"),
        "currency": body.get("currency"),
        "status": body.get("status"),
        "created": _moment(body.get("created")),
    }


def credit_note(body: Json) -> Json:
    """A row of `credit_notes`."""
    return {
        "id": body["id"],
        "invoice_id": _id(body.get("invoice")),
        "customer_id": _id(body.get("customer")),
        "amount": body.get("total", body.get("amount")),
        "currency": body.get("currency"),
        "status": body.get("status"),
        "created": _moment(body.get("created")),
        "voided_at": _moment(body.get("voided_at")),
    }
