"""Stripe's event log, derived from the dates on the sandbox company's billing records.

In: an `Index`. Out: the events of the last 30 days, newest first, ids a function of type, object
and time. `data.object` is the object as it is now: the sandbox keeps no snapshots, and a reader
that upserts by id ends with the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.api.stripe_index import Index, epoch
from sandbox.api.stripe_invoices import Shapes
from sandbox.world import Customer, Discount, Invoice, Subscription

KEPT = timedelta(days=30)

Render = Callable[[Shapes, Any], dict[str, Any]]
#: When, what, on which record, and how that record is rendered.
Happening = tuple[datetime, str, Any, Render]


@dataclass(frozen=True)
class Event:
    """One entry of the log; rendered only when it is on the page asked for."""

    created: datetime
    type: str
    record: Any
    render: Render

    @property
    def id(self) -> str:
        """Deterministic id."""
        key = f"{self.type}|{self.record.id}|{epoch(self.created)}"
        return "evt_" + hashlib.sha256(key.encode()).hexdigest()[:24]

    def body(self, shapes: Shapes, version: str) -> dict[str, Any]:
        """The event as Stripe sends it."""
        return {
            "id": self.id,
            "object": "event",
            "api_version": version,
            "created": epoch(self.created),
            "data": {"object": self.render(shapes, self.record)},
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": None, "idempotency_key": None},
            "type": self.type,
        }


def _customer(record: Customer) -> Iterator[tuple[datetime, str]]:
    yield record.created_at, "customer.created"
    if record.deleted_at is not None:
        yield record.deleted_at, "customer.deleted"
    elif record.updated_at > record.created_at:
        yield record.updated_at, "customer.updated"


def _subscription(record: Subscription) -> Iterator[tuple[datetime, str]]:
    yield record.created_at, "customer.subscription.created"
    moments = {record.updated_at, record.current_period_start}
    for item in record.items:
        moments |= {item.valid_from, item.valid_to or item.valid_from}
    for pause in record.pauses:
        moments |= {pause.paused_at, pause.resumed_at or pause.paused_at}
    moments |= {since for changes in record.history.values() for since, _ in changes}
    for moment in moments:
        if moment > record.created_at and moment != record.ended_at:
            yield moment, "customer.subscription.updated"
    if record.ended_at is not None:
        yield record.ended_at, "customer.subscription.deleted"


def _discount(record: Discount) -> Iterator[tuple[datetime, str]]:
    yield record.starts_at, "customer.discount.created"
    if record.ends_at is not None:
        yield record.ends_at, "customer.discount.deleted"


def _invoice(record: Invoice, index: Index) -> Iterator[tuple[datetime, str]]:
    told = {record.created_at}
    yield record.created_at, "invoice.created"
    if record.paid_at is not None:
        told.add(record.paid_at)
        yield record.paid_at, "invoice.paid"
    if record.voided_at is not None:
        told.add(record.voided_at)
        yield record.voided_at, "invoice.voided"
    for payment in index.payments_of[record.id]:
        if payment.status == "failed":
            told.add(payment.attempted_at)
            yield payment.attempted_at, "invoice.payment_failed"
    if record.updated_at not in told:
        yield record.updated_at, "invoice.updated"


def _happenings(index: Index) -> Iterator[Happening]:
    for product in index.products.values():
        yield product.created_at, "product.created", product, Shapes.product
    for price in index.prices.values():
        yield price.created_at, "price.created", price, Shapes.price
    for customer in index.customers.values():
        for moment, kind in _customer(customer):
            yield moment, kind, customer, Shapes.customer
    for subscription in index.subscriptions.values():
        for moment, kind in _subscription(subscription):
            yield moment, kind, subscription, Shapes.subscription
    for discount in index.discounts.values():
        for moment, kind in _discount(discount):
            yield moment, kind, discount, Shapes.discount
    for invoice in index.invoices.values():
        for moment, kind in _invoice(invoice, index):
            yield moment, kind, invoice, Shapes.invoice
    for payment in index.charges.values():
        yield payment.attempted_at, f"charge.{payment.status}", payment, Shapes.charge
    for refund in index.refunds.values():
        yield refund.refunded_at, "refund.created", refund, Shapes.refund
        yield refund.refunded_at, "charge.refunded", index.charges[refund.payment_id], Shapes.charge
    for note in index.credit_notes.values():
        yield note.issued_at, "credit_note.created", note, Shapes.credit_note


def events(index: Index) -> list[Event]:
    """The kept events, newest first."""
    oldest = index.now - KEPT
    unique = {
        (moment, kind, record.id): Event(moment, kind, record, render)
        for moment, kind, record, render in _happenings(index)
        if oldest <= moment < index.now
    }
    return [unique[key] for key in sorted(unique, reverse=True)]
