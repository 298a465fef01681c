"""Chargebee's shapes of invoices, credit notes and transactions.

In: documents of the index and `World.billing` records. Out: dicts as Chargebee sends them. An invoice names
its payments, failed ones included, and a payment its invoice; a credit note for a change names the invoice
it paid.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sandbox.api.chargebee_index import Credit, Document
from sandbox.api.chargebee_shapes import CatalogueShapes, Json, present, versioned
from sandbox.api.stripe_index import epoch, minor
from sandbox.world import CreditNote, Invoice, InvoiceLine, Payment, Refund

#: Lines embedded in an invoice of a site with enterprise-scale invoicing; `line_items_next_offset` leads on.
EMBEDDED_LINES = 100
MOST_LINES = 300

#: World -> Chargebee. One that is open is told by its due date and its attempts.
INVOICE_STATUS = {"paid": "paid", "void": "voided", "uncollectible": "not_paid", "draft": "pending"}
TRANSACTION_STATUS = {"succeeded": "success", "failed": "failure"}


class Shapes(CatalogueShapes):
    """Renders every record of the billing silo."""

    def _line(self, invoice: Invoice, record: InvoiceLine, prefix: str = "") -> Json:
        """A line, of an invoice or given back by a credit note. A part of a term has a part of the price."""
        price = self.index.prices[record.price_id]
        amount = minor(abs(record.amount), invoice.currency)
        kind = self.item_type(self.index.products[price.product_id])
        return present(
            id=prefix + record.id,
            subscription_id=invoice.subscription_id,
            customer_id=invoice.customer_id,
            date_from=epoch(record.period_start),
            date_to=epoch(record.period_end),
            unit_amount=amount // (record.quantity or 1),
            quantity=record.quantity,
            amount=amount,
            pricing_model="per_unit",
            is_taxed=bool(invoice.tax),
            tax_amount=0,
            discount_amount=minor(record.discount, invoice.currency),
            item_level_discount_amount=0,
            object="line_item",
            description=record.description,
            entity_type=f"{kind}_item_price",
            entity_id=price.id,
        )

    def _discounts(self, invoice: Invoice, lines: Iterable[InvoiceLine]) -> list[Json]:
        return [
            {
                "object": "line_item_discount",
                "line_item_id": line.id,
                "discount_type": "document_level_coupon",
                "coupon_id": self.index.discounts[line.discount_id].coupon_id,
                "entity_id": self.index.discounts[line.discount_id].coupon_id,
                "discount_amount": minor(line.discount, invoice.currency),
            }
            for line in lines
            if line.discount_id and line.discount
        ]

    def _invoice_status(self, record: Invoice, attempts: list[Payment]) -> str:
        if record.status in INVOICE_STATUS:
            return INVOICE_STATUS[record.status]
        is_due = record.due_at is None or record.due_at <= self.index.now
        return "payment_due" if attempts or is_due else "posted"

    def invoice(self, document: Document, first_line: int = 0, lines: int | None = None) -> Json:
        """An invoice with its first lines, or with those asked for."""
        record, currency = document.invoice, document.invoice.currency
        attempts = self.index.payments_of[record.id]
        failed = any(attempt.status == "failed" for attempt in attempts)
        end = first_line + (lines or EMBEDDED_LINES)
        shown = document.charged[first_line:end]
        sub_total = sum((line.amount for line in document.charged), Decimal(0))
        discount = sum((line.discount for line in document.charged), Decimal(0))
        due = Decimal(0)
        if record.status in ("open", "uncollectible", "draft"):
            due = document.total - document.credits_applied - record.amount_paid
        dunning = {"paid": "success", "open": "in_progress", "uncollectible": "exhausted", "void": "stopped"}
        notes = self.index.notes_of[record.id]
        touched = max([record.updated_at, *(note.issued_at for note in notes)])
        touched = max(touched, self.deleted.get(record.id, touched))
        return present(
            id=record.id,
            customer_id=record.customer_id,
            subscription_id=record.subscription_id,
            recurring=record.subscription_id is not None,
            status=self._invoice_status(record, attempts),
            price_type="tax_exclusive",
            date=epoch(record.created_at),
            due_date=epoch(record.due_at),
            net_term_days=(record.due_at - record.created_at).days if record.due_at else 0,
            exchange_rate=1.0,
            currency_code=currency,
            base_currency_code=self.index.world.currency,
            total=minor(document.total, currency),
            sub_total=minor(sub_total, currency),
            tax=minor(document.tax, currency),
            amount_paid=minor(record.amount_paid, currency),
            amount_adjusted=0,
            write_off_amount=0,
            credits_applied=minor(document.credits_applied, currency),
            amount_due=minor(due, currency),
            amount_to_collect=minor(due, currency),
            paid_at=epoch(record.paid_at),
            voided_at=epoch(record.voided_at),
            dunning_status=dunning.get(record.status) if failed else None,
            generated_at=epoch(record.created_at),
            first_invoice=record.billing_reason == "subscription_create",
            has_advance_charges=False,
            term_finalized=True,
            is_gifted=False,
            object="invoice",
            line_items=[self._line(record, line) for line in shown],
            line_items_next_offset=f'["{end}"]' if end < len(document.charged) else None,
            line_item_discounts=self._discounts(record, shown) or None,
            discounts=self._invoice_discounts(record, discount) if discount else None,
            taxes=[{"object": "tax", "name": "VAT", "amount": minor(document.tax, currency)}]
            if document.tax
            else None,
            linked_payments=[self._link(record, attempt) for attempt in attempts],
            applied_credits=[self._applied(document.credit)] if document.credit else [],
            adjustment_credit_notes=[],
            issued_credit_notes=[
                {
                    "cn_id": note.id,
                    "cn_reason_code": "waiver",
                    "cn_date": epoch(note.issued_at),
                    "cn_total": minor(note.amount, currency),
                    "cn_status": "refund_due",
                }
                for note in notes
            ],
            linked_orders=[],
            dunning_attempts=[],
            **versioned(touched, record.id in self.deleted),
        )

    def _invoice_discounts(self, record: Invoice, amount: Decimal) -> list[Json]:
        [key, *_] = {line.discount_id for line in record.lines if line.discount_id}
        coupon = self.index.discounts[key].coupon_id
        return [
            {
                "object": "discount",
                "entity_type": "document_level_coupon",
                "entity_id": coupon,
                "coupon_set_code": None,
                "description": coupon,
                "amount": minor(amount, record.currency),
            }
        ]

    def _link(self, record: Invoice, attempt: Payment) -> Json:
        return {
            "txn_id": attempt.id,
            "applied_amount": minor(attempt.amount, record.currency),
            "applied_at": epoch(attempt.attempted_at),
            "txn_status": TRANSACTION_STATUS[attempt.status],
            "txn_date": epoch(attempt.attempted_at),
            "txn_amount": minor(attempt.amount, record.currency),
        }

    def _applied(self, credit: Credit) -> Json:
        return {
            "cn_id": credit.id,
            "applied_amount": minor(credit.applied, credit.invoice.currency),
            "applied_at": epoch(credit.issued_at),
            "cn_reason_code": credit.reason_code,
            "cn_date": epoch(credit.issued_at),
            "cn_status": "refunded" if credit.applied == credit.total else "refund_due",
        }

    def credit_note(self, record: CreditNote | Credit) -> Json:
        """A credit note: for a change in the middle of a term, or given."""
        if isinstance(record, Credit):
            return self._change_credit(record)
        invoice, amount = self.index.invoices[record.invoice_id], minor(record.amount, record.currency)
        at = epoch(record.issued_at)
        line = {
            "id": f"li_{record.id}",
            "date_from": at,
            "date_to": at,
            "unit_amount": amount,
            "quantity": 1,
            "amount": amount,
            "pricing_model": "flat_fee",
            "is_taxed": False,
            "tax_amount": 0,
            "discount_amount": 0,
            "item_level_discount_amount": 0,
            "object": "line_item",
            "customer_id": record.customer_id,
            "description": "Goodwill",
            "entity_type": "adhoc",
        }
        return present(
            id=record.id,
            customer_id=record.customer_id,
            subscription_id=invoice.subscription_id,
            reference_invoice_id=record.invoice_id,
            reason_code="waiver",
            create_reason_code="Waiver",
            line_items=[line],
            sub_total=amount,
            total=amount,
            amount_allocated=0,
            amount_available=amount,
            status="refund_due",
            date=at,
            **self._credit_fields(record.currency),
            **versioned(record.issued_at, False),
        )

    def _change_credit(self, credit: Credit) -> Json:
        currency, invoice = credit.invoice.currency, credit.invoice
        left = credit.total - credit.applied
        allocation = {
            "invoice_id": invoice.id,
            "allocated_amount": minor(credit.applied, currency),
            "allocated_at": epoch(credit.issued_at),
        }
        return present(
            id=credit.id,
            customer_id=invoice.customer_id,
            subscription_id=invoice.subscription_id,
            reference_invoice_id=credit.reference_id,
            reason_code=credit.reason_code,
            create_reason_code="Subscription Change",
            line_items=[self._line(invoice, line, "cn_") for line in credit.lines],
            sub_total=minor(credit.total - credit.tax, currency),
            total=minor(credit.total, currency),
            amount_allocated=minor(credit.applied, currency),
            amount_available=minor(left, currency),
            status="refund_due" if left else "refunded",
            date=epoch(credit.issued_at),
            allocations=[allocation] if credit.applied else [],
            **self._credit_fields(currency),
            **versioned(credit.issued_at, False),
        )

    def _credit_fields(self, currency: str) -> Json:
        return {
            "type": "refundable",
            "price_type": "tax_exclusive",
            "currency_code": currency,
            "base_currency_code": self.index.world.currency,
            "exchange_rate": 1.0,
            "amount_refunded": 0,
            "object": "credit_note",
        }

    def transaction(self, record: Payment | Refund) -> Json:
        """A payment (or an attempt at one), or a refund."""
        payment = record if isinstance(record, Payment) else self.index.charges[record.payment_id]
        invoice = self.index.invoices[record.invoice_id]
        amount = minor(record.amount, record.currency)
        shared = {
            "id": record.id,
            "customer_id": payment.customer_id,
            "subscription_id": invoice.subscription_id,
            "gateway": "chargebee",
            "payment_method": "card",
            "currency_code": record.currency,
            "amount": amount,
            "object": "transaction",
        }
        if isinstance(record, Refund):
            return present(
                **shared,
                type="refund",
                status="success",
                date=epoch(record.refunded_at),
                refunded_txn_id=payment.id,
                linked_payments=[],
                **versioned(record.refunded_at, False),
            )
        refunds = self.index.refunds_of[record.id]
        succeeded = record.status == "succeeded"
        link = {
            "invoice_id": invoice.id,
            "applied_amount": amount,
            "applied_at": epoch(record.attempted_at),
            "invoice_date": epoch(invoice.created_at),
        }
        return present(
            **shared,
            type="payment",
            status=TRANSACTION_STATUS[record.status],
            date=epoch(record.attempted_at),
            error_code=record.failure_code,
            error_text=None if succeeded else f"The gateway refused: {record.failure_code}",
            amount_unused=0,
            linked_invoices=[link],
            linked_refunds=[
                {
                    "txn_id": refund.id,
                    "txn_status": "success",
                    "txn_date": epoch(refund.refunded_at),
                    "txn_amount": minor(refund.amount, refund.currency),
                }
                for refund in refunds
            ],
            **versioned(max([record.attempted_at, *(refund.refunded_at for refund in refunds)]), False),
        )
