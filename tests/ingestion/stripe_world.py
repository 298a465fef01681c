"""A hand-built billing silo with one of everything the Stripe connector must get right."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.world import (
    CreditNote,
    Customer,
    Discount,
    Invoice,
    InvoiceLine,
    ItemVersion,
    Pause,
    Payment,
    Price,
    Product,
    Refund,
    Subscription,
    World,
)


def day(month: int, number: int = 1, hour: int = 0) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


NOW = day(11)
PRICES = {
    "price_growth": ("Growth", 50, "USD", "month"),
    "price_scale": ("Scale", 90, "USD", "month"),
    "price_seats": ("Seats add-on", 10, "USD", "month"),
    "price_yen": ("Growth", 5000, "JPY", "month"),
    "price_setup": ("Onboarding", 3, "USD", None),
}


class Builder:
    """Adds invoices with lines and payments to a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def line(
        self, price: str, item: str | None, quantity: int, start: datetime, end: datetime, **change: object
    ) -> InvoiceLine:
        unit = Decimal(PRICES[price][1])
        values: dict[str, Any] = {
            "description": PRICES[price][0],
            "amount": unit * quantity,
            "discount": Decimal(0),
            "discount_id": None,
            "is_proration": False,
        } | change
        return InvoiceLine(
            id="",
            price_id=price,
            item_id=item,
            quantity=quantity,
            period_start=start,
            period_end=end,
            **values,
        )

    def invoice(
        self,
        customer: str,
        subscription: str | None,
        at: datetime,
        lines: list[InvoiceLine],
        reason: str = "subscription_cycle",
        status: str = "paid",
        attempts: tuple[str, ...] = ("succeeded",),
        tax: int = 0,
    ) -> Invoice:
        billing = self.world.billing
        number = len(billing.invoices) + 1
        for place, line in enumerate(lines):
            line.id = f"il_{number}_{place}"
        subtotal = sum((line.amount for line in lines), Decimal(0))
        discount = sum((line.discount for line in lines), Decimal(0))
        total = subtotal - discount + tax
        currency = PRICES[lines[0].price_id][2]
        paid = status == "paid"
        invoice = Invoice(
            id=f"in_{number}",
            number=f"R-{number:04}",
            customer_id=customer,
            subscription_id=subscription,
            status=status,
            currency=currency,
            billing_reason=reason,
            subtotal=subtotal,
            discount=discount,
            tax=Decimal(tax),
            total=total,
            amount_paid=total if paid else Decimal(0),
            amount_due=total,
            created_at=at,
            updated_at=at + timedelta(hours=len(attempts)),
            due_at=at + timedelta(days=14),
            paid_at=at + timedelta(hours=len(attempts)) if paid else None,
            voided_at=at if status == "void" else None,
            lines=lines,
        )
        billing.invoices.append(invoice)
        for turn, outcome in enumerate(attempts, start=1):
            billing.payments.append(
                Payment(
                    id=f"ch_{number}_{turn}",
                    payment_intent_id=f"pi_{number}",
                    invoice_id=invoice.id,
                    customer_id=customer,
                    amount=total,
                    currency=currency,
                    status=outcome,
                    failure_code=None if outcome == "succeeded" else "card_declined",
                    attempt=turn,
                    attempted_at=at + timedelta(hours=turn),
                )
            )
        return invoice

    def subscription(
        self, key: str, customer: str, currency: str, started: datetime, **more: object
    ) -> Subscription:
        values: dict[str, Any] = {
            "status": "active",
            "updated_at": day(10),
            "trial_start": None,
            "trial_end": None,
            "current_period_start": day(10),
            "current_period_end": day(11),
        } | more
        subscription = Subscription(
            id=key, customer_id=customer, currency=currency, created_at=started, started_at=started, **values
        )
        self.world.billing.subscriptions.append(subscription)
        return subscription


def build() -> World:
    """Five customers (one deleted) and five subscriptions, June to October 2026."""
    world = World(seed=1, size=5, start=day(6), now=NOW, currency="USD")
    billing, build = world.billing, Builder(world)
    for name, currency, crm in [
        ("acme", "USD", "1001"),
        ("kyoto", "JPY", None),
        ("pause", "USD", None),
        ("gone", "USD", None),
        ("switch", "USD", None),
    ]:
        billing.customers.append(
            Customer(
                id=f"cus_{name}",
                name=name.title(),
                email=f"Billing@{name.title()}.example",
                country="DE",
                tax_id="DE123" if name == "acme" else None,
                currency=currency,
                created_at=day(5, 30),
                updated_at=day(5, 30),
                crm_account_id=crm,
            )
        )
    billing.customers[3].deleted_at = billing.customers[3].updated_at = day(9, 10)
    for price, (nickname, amount, currency, interval) in PRICES.items():
        product = price.replace("price", "prod")
        billing.products.append(Product(product, nickname, day(5)))
        billing.prices.append(
            Price(
                price,
                product,
                nickname,
                Decimal(amount),
                currency,
                interval,
                1 if interval else None,
                day(5),
            )
        )
    _upgraded(billing, build)
    _trial_in_yen(billing, build)
    _paused(billing, build)
    _ended(billing, build)
    _switched(billing, build)
    extra = [build.line("price_setup", None, n + 1, day(8, 3), day(8, 3)) for n in range(40)]
    build.invoice("cus_acme", None, day(8, 3), extra, "manual", tax=7)
    billing.refunds.append(Refund("re_1", "ch_1_1", "in_1", Decimal(20), "USD", day(10, 20)))
    billing.credit_notes.append(CreditNote("cn_1", "in_1", "cus_acme", Decimal(20), "USD", day(10, 20)))
    billing.invoices.sort(key=lambda invoice: invoice.created_at)
    return world


def _upgraded(billing, build) -> None:
    """Quantity 5 to 8 on 15 July; 10 % off from the start until 1 September; a failed payment in August."""
    build.subscription(
        "sub_acme",
        "cus_acme",
        "USD",
        day(6),
        items=[
            ItemVersion("si_acme", "price_growth", 5, day(6), day(7, 15)),
            ItemVersion("si_acme", "price_growth", 8, day(7, 15)),
        ],
    )
    billing.discounts.append(
        Discount(
            "di_acme", "TEN", "cus_acme", "sub_acme", Decimal(10), None, None, day(6), "repeating", 3, day(9)
        )
    )
    for month in (6, 7, 8, 9, 10):
        quantity = 5 if month < 8 else 8
        line = build.line("price_growth", "si_acme", quantity, day(month), day(month + 1))
        if month < 9:
            line.discount, line.discount_id = line.amount / 10, "di_acme"
        attempts = ("failed", "succeeded") if month == 8 else ("succeeded",)
        reason = "subscription_create" if month == 6 else "subscription_cycle"
        build.invoice("cus_acme", "sub_acme", day(month), [line], reason, attempts=attempts, tax=5)
        if month == 7:
            credit = build.line(
                "price_growth", "si_acme", 5, day(7, 15), day(8), amount=Decimal(-130), is_proration=True
            )
            charge = build.line(
                "price_growth", "si_acme", 8, day(7, 15), day(8), amount=Decimal(208), is_proration=True
            )
            build.invoice("cus_acme", "sub_acme", day(7, 15), [credit, charge], "subscription_update")


def _trial_in_yen(billing, build) -> None:
    """A trial from 10 July, paid from 1 August; 500 yen off for ever."""
    build.subscription(
        "sub_kyoto",
        "cus_kyoto",
        "JPY",
        day(7, 10),
        trial_start=day(7, 10),
        trial_end=day(8),
        items=[ItemVersion("si_kyoto", "price_yen", 2, day(7, 10))],
    )
    billing.discounts.append(
        Discount(
            "di_yen", "YEN", "cus_kyoto", "sub_kyoto", None, Decimal(500), "JPY", day(8), "forever", None
        )
    )
    trial = build.line("price_yen", "si_kyoto", 2, day(7, 10), day(8), amount=Decimal(0))
    build.invoice("cus_kyoto", "sub_kyoto", day(7, 10), [trial], "subscription_create", attempts=())
    for month in (8, 9, 10):
        line = build.line("price_yen", "si_kyoto", 2, day(month), day(month + 1))
        line.discount, line.discount_id = Decimal(500), "di_yen"
        build.invoice("cus_kyoto", "sub_kyoto", day(month), [line])


def _paused(billing, build) -> None:
    """Paused in July and August, and again since October."""
    build.subscription(
        "sub_pause",
        "cus_pause",
        "USD",
        day(6),
        items=[ItemVersion("si_pause", "price_growth", 1, day(6))],
        pauses=[Pause(day(7), day(9)), Pause(day(10))],
    )
    for month in (6, 7, 8, 9, 10):
        paused = month in (7, 8, 10)
        line = build.line("price_growth", "si_pause", 1, day(month), day(month + 1))
        status, attempts = ("void", ()) if paused else ("paid", ("succeeded",))
        reason = "subscription_create" if month == 6 else "subscription_cycle"
        build.invoice("cus_pause", "sub_pause", day(month), [line], reason, status, attempts)


def _ended(billing, build) -> None:
    """Cancelled on 1 August after an unpaid bill of July that was voided: not a pause. Customer deleted."""
    build.subscription(
        "sub_gone",
        "cus_gone",
        "USD",
        day(6),
        status="canceled",
        current_period_start=day(7),
        current_period_end=day(8),
        canceled_at=day(7, 20),
        ended_at=day(8),
        cancellation_reason="payment_failed",
        items=[ItemVersion("si_gone", "price_growth", 1, day(6), day(8))],
    )
    first = build.line("price_growth", "si_gone", 1, day(6), day(7))
    build.invoice("cus_gone", "sub_gone", day(6), [first], "subscription_create")
    second = build.line("price_growth", "si_gone", 1, day(7), day(8))
    build.invoice("cus_gone", "sub_gone", day(7), [second], status="void", attempts=("failed", "failed"))


def _switched(billing, build) -> None:
    """Growth to Scale on 10 August on the same item; seats added at the start, taken off on 20 September."""
    build.subscription(
        "sub_switch",
        "cus_switch",
        "USD",
        day(6),
        items=[
            ItemVersion("si_plan", "price_growth", 1, day(6), day(8, 10)),
            ItemVersion("si_plan", "price_scale", 1, day(8, 10)),
            ItemVersion("si_seats", "price_seats", 4, day(6), day(9, 20)),
        ],
    )
    for month in (6, 7, 8, 9, 10):
        plan = "price_growth" if month < 9 else "price_scale"
        lines = [build.line(plan, "si_plan", 1, day(month), day(month + 1))]
        if month < 10:
            lines.append(build.line("price_seats", "si_seats", 4, day(month), day(month + 1)))
        reason = "subscription_create" if month == 6 else "subscription_cycle"
        build.invoice("cus_switch", "sub_switch", day(month), lines, reason)

    def change(
        price: str, item: str, quantity: int, start: datetime, end: datetime, amount: int
    ) -> InvoiceLine:
        return build.line(price, item, quantity, start, end, amount=Decimal(amount), is_proration=True)

    swap = [
        change("price_growth", "si_plan", 1, day(8, 10), day(9), -35),
        change("price_scale", "si_plan", 1, day(8, 10), day(9), 64),
    ]
    build.invoice("cus_switch", "sub_switch", day(8, 10), swap, "subscription_update")
    off = [change("price_seats", "si_seats", 4, day(9, 20), day(10), -13)]
    build.invoice("cus_switch", "sub_switch", day(9, 20), off, "subscription_update", attempts=())
