"""The sandbox company's billing records as Chargebee would have made them.

The world bills as Stripe does; Chargebee differs in what documents there are: a free trial has no invoice,
a paused term has none either, and what a change in the middle of a term gives back is not a negative line but
a credit note, which pays the invoice for the new items as far as it goes. An index holds the world's records
and, of every invoice, how it is told: the lines it charges, and the credit note beside it, if any.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from sandbox.api.stripe_index import Index as BillingIndex
from sandbox.world import CreditNote, Invoice, InvoiceLine, World

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Document:
    """An invoice as Chargebee tells it. `charged` is empty when there is nothing but a credit note."""

    invoice: Invoice
    charged: list[InvoiceLine]
    total: Decimal
    tax: Decimal
    credits_applied: Decimal
    credit: Credit | None


@dataclass(frozen=True)
class Credit:
    """A credit note; `lines` are those given back, `pays` the invoice it was applied to."""

    id: str
    invoice: Invoice
    reference_id: str | None
    reason_code: str
    lines: list[InvoiceLine]
    total: Decimal
    tax: Decimal
    applied: Decimal
    issued_at: datetime


def _is_credit(line: InvoiceLine) -> bool:
    return line.is_proration and (line.amount < 0 or line.description.startswith("Unused time"))


class Index(BillingIndex):
    """The records by id and by parent, documents included."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.invoices_of: dict[str, list[Invoice]] = defaultdict(list)
        self.notes_of: dict[str, list[CreditNote]] = defaultdict(list)
        self.applied: dict[str, int] = defaultdict(int)
        for invoice in world.billing.invoices:
            if invoice.subscription_id:
                self.invoices_of[invoice.subscription_id].append(invoice)
            for discount in {line.discount_id for line in invoice.lines if line.discount_id}:
                self.applied[discount] += 1
        for note in world.billing.credit_notes:
            self.notes_of[note.invoice_id].append(note)
        told = [self._document(invoice) for invoice in world.billing.invoices if not self._is_hidden(invoice)]
        self.documents = {document.invoice.id: document for document in told if document.charged}
        self.credits = {document.credit.id: document.credit for document in told if document.credit}

    def _is_hidden(self, invoice: Invoice) -> bool:
        """Of a free trial, or of a paused term: in Chargebee neither is invoiced."""
        subscription = self.subscriptions.get(invoice.subscription_id or "")
        if subscription is None:
            return False
        t = invoice.created_at
        free = all(line.amount == 0 for line in invoice.lines)
        if subscription.trial_end is not None and t < subscription.trial_end and free:
            return True
        return invoice.status == "void" and any(
            pause.paused_at <= t and (pause.resumed_at is None or t < pause.resumed_at)
            for pause in subscription.pauses
        )

    def _has_charges(self, invoice: Invoice) -> bool:
        return not self._is_hidden(invoice) and any(not _is_credit(line) for line in invoice.lines)

    def _document(self, invoice: Invoice) -> Document:
        charged = [line for line in invoice.lines if not _is_credit(line)]
        returned = [line for line in invoice.lines if _is_credit(line)]
        if not returned:
            return Document(invoice, charged, invoice.total, invoice.tax, Decimal(0), None)
        taxable = invoice.subtotal - invoice.discount
        rate = invoice.tax / taxable if taxable else Decimal(0)
        net = sum((line.amount - line.discount for line in charged), Decimal(0))
        tax = (net * rate).quantize(CENT, ROUND_HALF_UP)
        total = net + tax
        credited = total - invoice.total
        applied = min(credited, total)
        earlier = [
            one.id
            for one in self.invoices_of[invoice.subscription_id or ""]
            if one.created_at < invoice.created_at and one.status == "paid" and self._has_charges(one)
        ]
        credit = Credit(
            id=f"CN-{invoice.number}",
            invoice=invoice,
            reference_id=earlier[-1] if earlier else None,
            reason_code="subscription_change",
            lines=returned,
            total=credited,
            tax=tax - invoice.tax,
            applied=applied,
            issued_at=invoice.created_at,
        )
        return Document(invoice, charged, total, tax, applied, credit)
