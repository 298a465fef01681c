"""Invoices, attempts to collect them, refunds and credit notes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from sandbox.simulation.account import Account
from sandbox.simulation.catalogue import NAMES, Catalogue
from sandbox.world import CreditNote, Customer, Invoice, InvoiceLine, Payment, Price, Refund

CENT = Decimal("0.01")
FAILURES = ("card_declined", "insufficient_funds", "expired_card", "authentication_required")
VAT = {"DE": Decimal("0.19"), "FR": Decimal("0.20"), "NL": Decimal("0.21"), "GB": Decimal("0.20")}


def cents(amount: Decimal) -> Decimal:
    """Rounded half up to the cent."""
    return amount.quantize(CENT, ROUND_HALF_UP)


class Invoicing:
    """Issues and collects the invoices of one customer."""

    def __init__(self, account: Account, customer: Customer) -> None:
        self.account = account
        self.customer = customer
        taxed = customer.country in VAT and customer.tax_id is None
        self.tax_rate = VAT[customer.country or ""] if taxed else Decimal(0)

    @property
    def catalogue(self) -> Catalogue:
        """The price list."""
        return self.account.scene.catalogue

    def line(
        self,
        price: Price,
        item_id: str | None,
        quantity: int,
        period: tuple[datetime, datetime],
        *,
        share: Decimal = Decimal(1),
        proration: bool = False,
        discount: tuple[str, Decimal] | None = None,
    ) -> InvoiceLine:
        """A line; a negative share is a credit for unused time."""
        amount = cents(price.unit_amount * quantity * share)
        text = price.nickname
        if proration:
            text = f"{'Unused' if share < 0 else 'Remaining'} time on {quantity} x {price.nickname}"
        off = min(discount[1], amount) if discount else Decimal(0)
        return InvoiceLine(
            id=self.account.next_id("line", 4, "il_"),
            price_id=price.id,
            item_id=item_id,
            description=text,
            quantity=quantity,
            amount=amount,
            discount=off,
            discount_id=discount[0] if discount and off else None,
            period_start=period[0],
            period_end=period[1],
            is_proration=proration,
        )

    def issue(
        self, lines: list[InvoiceLine], reason: str, subscription_id: str | None, *, void: bool = False
    ) -> Invoice:
        """Issue an invoice now; nothing is collected yet unless there is nothing to pay."""
        t = self.account.t
        subtotal = sum((line.amount for line in lines), Decimal(0))
        discount = sum((line.discount for line in lines), Decimal(0))
        tax = cents((subtotal - discount) * self.tax_rate)
        total = subtotal - discount + tax
        free = total <= 0 and not void
        key = self.account.next_id("invoice", 4)
        invoice = Invoice(
            id=f"in_{key}",
            number=f"R-{key}",
            customer_id=self.customer.id,
            subscription_id=subscription_id,
            status="void" if void else "paid" if free else "open",
            currency=self.customer.currency,
            billing_reason=reason,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            total=total,
            amount_paid=Decimal(0),
            amount_due=max(total, Decimal(0)),
            created_at=t,
            updated_at=t,
            due_at=t + timedelta(days=14),
            paid_at=t if free else None,
            voided_at=t if void else None,
            lines=lines,
        )
        self.account.world.billing.invoices.append(invoice)
        return invoice

    def attempt(self, invoice: Invoice, attempt: int, succeeds: bool) -> Payment:
        """Try to collect an open invoice now."""
        t = self.account.t
        payment = Payment(
            id=self.account.next_id("payment", 4, "ch_"),
            payment_intent_id=f"pi_{invoice.id.removeprefix('in_')}",
            invoice_id=invoice.id,
            customer_id=self.customer.id,
            amount=invoice.total,
            currency=invoice.currency,
            status="succeeded" if succeeds else "failed",
            failure_code=None if succeeds else self.account.rng.choice(FAILURES),
            attempt=attempt,
            attempted_at=t,
        )
        self.account.world.billing.payments.append(payment)
        if succeeds:
            self.account.put(invoice, status="paid", paid_at=t, amount_paid=invoice.total)
            if self.account.rng.random() < 0.006:
                self.account.line.after(2, 9, self.refund, payment, Decimal("0.25"))
            elif self.account.rng.random() < 0.008:
                self.account.line.after(1, 12, self.credit, invoice)
        else:
            self.account.put(invoice)
        return payment

    def collect_soon(self, invoice: Invoice, then: Callable[[Invoice], None]) -> None:
        """Try an open invoice an hour after it was issued."""
        if invoice.status == "open":
            delay = timedelta(seconds=self.account.rng.randint(3000, 4200))
            self.account.line.at(self.account.t + delay, then, invoice)

    def refund(self, payment: Payment, share: Decimal) -> None:
        """Pay part of a payment back."""
        self.account.world.billing.refunds.append(
            Refund(
                id=self.account.next_id("refund", 3, "re_"),
                payment_id=payment.id,
                invoice_id=payment.invoice_id,
                amount=cents(payment.amount * share),
                currency=payment.currency,
                refunded_at=self.account.t,
            )
        )

    def credit(self, invoice: Invoice) -> None:
        """Credit a tenth of an invoice."""
        self.account.world.billing.credit_notes.append(
            CreditNote(
                id=self.account.next_id("credit", 3, "cn_"),
                invoice_id=invoice.id,
                customer_id=invoice.customer_id,
                amount=cents(invoice.total / 10),
                currency=invoice.currency,
                issued_at=self.account.t,
            )
        )

    def onboarding(self) -> None:
        """The one-off fee, on an invoice of its own."""
        price = self.catalogue.price("onboarding", self.customer.currency, None)
        line = self.line(price, None, 1, (self.account.t, self.account.t))
        line.description = f"{NAMES['onboarding']} fee"
        invoice = self.issue([line], "manual", None)
        self.collect_soon(invoice, lambda found: void_of(self.attempt(found, 1, True)))


def void_of(_: object) -> None:
    """Nothing: the outcome of an attempt that nobody waits for."""
