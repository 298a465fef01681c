"""Stripe's shapes of invoices, charges, refunds and credit notes.

Versions before 2025-03-31 name an invoice's subscription, charge, payment intent and tax, and a
charge's invoice, at the top level; later ones moved them to `parent`, `payments` and `total_taxes`.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from sandbox.api.stripe_index import epoch, minor
from sandbox.api.stripe_shapes import CatalogueShapes, Json
from sandbox.world import CreditNote, Invoice, InvoiceLine, Payment, Refund

#: An invoice embeds at most this many lines; the rest is at `lines.url`.
EMBEDDED_LINES = 10


class Shapes(CatalogueShapes):
    """Renders every record of the billing silo."""

    def line(self, invoice: Invoice, record: InvoiceLine) -> Json:
        """An invoice line; prorations are invoice items that name their subscription item."""
        amount = minor(record.amount, invoice.currency)
        off = minor(record.discount, invoice.currency)
        price = self.index.prices[record.price_id]
        extra = record.is_proration or record.item_id is None
        invoice_item = f"ii_{record.id.removeprefix('il_')}" if extra else None
        body: Json = {
            "id": record.id,
            "object": "line_item",
            "amount": amount,
            "currency": invoice.currency.lower(),
            "description": record.description,
            "discount_amounts": [{"amount": off, "discount": record.discount_id}] if off else [],
            "discounts": [record.discount_id] if record.discount_id else [],
            "invoice": invoice.id,
            "livemode": False,
            "metadata": {},
            "period": {"start": epoch(record.period_start), "end": epoch(record.period_end)},
            "quantity": record.quantity,
        }
        subscription = invoice.subscription_id
        if not self.current:
            return body | {
                "invoice_item": invoice_item,
                "price": self.price(price),
                "proration": record.is_proration,
                "subscription": subscription,
                "subscription_item": record.item_id,
                "tax_amounts": [],
                "type": "invoiceitem" if extra else "subscription",
            }
        details: Json = {
            "invoice_item": invoice_item,
            "proration": record.is_proration,
            "proration_details": None,
            "subscription": subscription,
        }
        if record.item_id is not None:
            details["subscription_item"] = record.item_id
        kind = "invoice_item_details" if record.item_id is None else "subscription_item_details"
        return body | {
            "parent": {
                "type": kind,
                "invoice_item_details": None,
                "subscription_item_details": None,
                kind: details,
            },
            "pricing": {
                "type": "price_details",
                "price_details": {"price": price.id, "product": price.product_id},
                "unit_amount_decimal": str(minor(price.unit_amount, price.currency)),
            },
            "subtotal": amount,
            "taxes": [],
        }

    def invoice_payments(self, record: Invoice) -> list[Json]:
        """The current versions' link between an invoice and its payment intent."""
        attempts = self.index.payments_of[record.id]
        if not attempts:
            return []
        paid = record.status == "paid"
        status = "paid" if paid else "canceled" if record.status == "void" else "open"
        return [
            {
                "id": f"inpay_{record.id.removeprefix('in_')}",
                "object": "invoice_payment",
                "amount_paid": minor(record.amount_paid, record.currency) if paid else None,
                "amount_requested": minor(record.total, record.currency),
                "created": epoch(record.created_at),
                "currency": record.currency.lower(),
                "invoice": record.id,
                "is_default": True,
                "livemode": False,
                "payment": {"type": "payment_intent", "payment_intent": attempts[0].payment_intent_id},
                "status": status,
                "status_transitions": {
                    "canceled_at": epoch(record.voided_at),
                    "paid_at": epoch(record.paid_at),
                },
            }
        ]

    def invoice(self, record: Invoice) -> Json:
        """An invoice with its first lines; `lines.url` leads to all of them."""
        index, currency = self.index, record.currency
        customer = index.customers.get(record.customer_id)
        present = (customer.name, customer.email) if customer else (None, None)
        name, email = index.billed_to.get(record.id, present)
        attempts = index.payments_of[record.id]
        by_discount: dict[str, Decimal] = defaultdict(Decimal)
        for line in record.lines:
            if line.discount_id and line.discount:
                by_discount[line.discount_id] += line.discount
        tax = minor(record.tax, currency)
        void_or_open = record.status in ("open", "draft")
        body: Json = {
            "id": record.id,
            "object": "invoice",
            "amount_due": minor(record.amount_due, currency),
            "amount_paid": minor(record.amount_paid, currency),
            "amount_remaining": minor(record.amount_due - record.amount_paid, currency)
            if void_or_open
            else 0,
            "attempt_count": len(attempts),
            "attempted": bool(attempts),
            "billing_reason": record.billing_reason,
            "collection_method": "charge_automatically",
            "created": epoch(record.created_at),
            "currency": currency.lower(),
            "customer": record.customer_id,
            "customer_email": email,
            "customer_name": name,
            "discounts": self._discounts([index.discounts[key] for key in by_discount]),
            "due_date": epoch(record.due_at),
            "lines": {
                "object": "list",
                "data": [self.line(record, line) for line in record.lines[:EMBEDDED_LINES]],
                "has_more": len(record.lines) > EMBEDDED_LINES,
                "url": f"/v1/invoices/{record.id}/lines",
            },
            "livemode": False,
            "metadata": {},
            "number": record.number,
            "period_start": epoch(min((li.period_start for li in record.lines), default=record.created_at)),
            "period_end": epoch(max((li.period_end for li in record.lines), default=record.created_at)),
            "status": record.status,
            "status_transitions": {
                "finalized_at": None if record.status == "draft" else epoch(record.created_at),
                "marked_uncollectible_at": (
                    epoch(record.updated_at) if record.status == "uncollectible" else None
                ),
                "paid_at": epoch(record.paid_at),
                "voided_at": epoch(record.voided_at),
            },
            "subtotal": minor(record.subtotal, currency),
            "total": minor(record.total, currency),
            "total_discount_amounts": [
                {"amount": minor(amount, currency), "discount": key} for key, amount in by_discount.items()
            ],
        }
        if not self.current:
            paid_by = next((p.id for p in reversed(attempts) if p.status == "succeeded"), None)
            return body | {
                "charge": paid_by or (attempts[-1].id if attempts else None),
                "discount": None,
                "paid": record.status == "paid",
                "payment_intent": attempts[0].payment_intent_id if attempts else None,
                "subscription": record.subscription_id,
                "tax": tax or None,
                "total_tax_amounts": [{"amount": tax, "inclusive": False}] if tax else [],
            }
        details: Json = {"metadata": {}, "subscription": record.subscription_id}
        body["parent"] = (
            {"type": "subscription_details", "subscription_details": details, "quote_details": None}
            if record.subscription_id
            else None
        )
        body["total_taxes"] = [{"amount": tax, "tax_behavior": "exclusive"}] if tax else []
        if self._expands("payments"):
            body["payments"] = {
                "object": "list",
                "data": self.invoice_payments(record),
                "has_more": False,
                "url": f"/v1/invoice_payments?invoice={record.id}",
            }
        return body

    def charge(self, record: Payment) -> Json:
        """A charge; only old versions name its invoice."""
        refunded = sum((refund.amount for refund in self.index.refunds_of[record.id]), Decimal(0))
        succeeded = record.status == "succeeded"
        amount = minor(record.amount, record.currency)
        body: Json = {
            "id": record.id,
            "object": "charge",
            "amount": amount,
            "amount_captured": amount if succeeded else 0,
            "amount_refunded": minor(refunded, record.currency),
            "captured": succeeded,
            "created": epoch(record.attempted_at),
            "currency": record.currency.lower(),
            "customer": record.customer_id,
            "failure_code": record.failure_code,
            "livemode": False,
            "metadata": {},
            "paid": succeeded,
            "payment_intent": record.payment_intent_id,
            "refunded": succeeded and refunded >= record.amount,
            "status": record.status,
        }
        if not self.current:
            body["invoice"] = record.invoice_id
        return body

    def refund(self, record: Refund) -> Json:
        """A refund of a charge."""
        return {
            "id": record.id,
            "object": "refund",
            "amount": minor(record.amount, record.currency),
            "charge": record.payment_id,
            "created": epoch(record.refunded_at),
            "currency": record.currency.lower(),
            "metadata": {},
            "payment_intent": self.index.charges[record.payment_id].payment_intent_id,
            "reason": "requested_by_customer",
            "status": "succeeded",
        }

    def credit_note(self, record: CreditNote) -> Json:
        """A credit note on an invoice."""
        amount = minor(record.amount, record.currency)
        return {
            "id": record.id,
            "object": "credit_note",
            "amount": amount,
            "created": epoch(record.issued_at),
            "currency": record.currency.lower(),
            "customer": record.customer_id,
            "invoice": record.invoice_id,
            "livemode": False,
            "metadata": {},
            "status": "issued",
            "total": amount,
            "voided_at": None,
        }
