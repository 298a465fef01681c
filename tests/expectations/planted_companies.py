"""Companies without a fault, entered by hand into the sandbox's tools: what the faults are planted in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests

from expectations.erased import Erased
from sandbox.simulation.timeline import add_months
from sandbox.world import World

#: Names that nobody takes for one another.
NAMES = (
    *("Abzorn", "Bequill", "Cdrava", "Dwexon", "Eqlimp", "Fyoster", "Gwynalk", "Hzebro", "Ibrunta", "Jvokel"),
    *(
        "Kwaspi",
        "Luxtreg",
        "Mbolvin",
        "Nqarist",
        "Owpheus",
        "Pzygmar",
        "Qverlot",
        "Ruhdalf",
        "Szicko",
        "Tvumber",
    ),
    *("Uxqanti", "Vbrelo", "Wplasko", "Xotengri", "Yskdale", "Zmufroth", "Aiphocet", "Bnurvale", "Ckethwin"),
    *(
        "Djoplar",
        "Eszmeric",
        "Fhlonty",
        "Gixbarro",
        "Hwolpend",
        "Ipkasser",
        "Jlyndov",
        "Kziffren",
        "Lbargout",
    ),
    *("Mvespick", "Nxolater", "Oqbrint", "Pdwuhn", "Qislem", "Rgavott", "Svkpurn", "Tnexhal", "Ugdobrin"),
)
#: Of the billing tools, Stripe has no price that differs from the list's.
CRM, MAIL, BILLING = "hubspot", "mailshake", "chargebee"
PRICE = "price_growth_usd_year"
SEAT = Decimal(539)  # a year, at list price
SEATS = 12
YEARLY = SEAT * SEATS
QUOTE = Decimal(5000)
FEE = Decimal(1500)
FRESH = 5  # days since a new customer signed up
OWNER = "105"  # an account executive with a quota
COUNTRY = "US"


#: What addresses are hashed with, so that the suite knows the hashes.
ERASURE_KEY = "0" * 64


@dataclass(frozen=True)
class Firm:
    """A company made by hand; its records' ids follow from its number."""

    number: int

    @property
    def name(self) -> str:
        """What it is called."""
        return NAMES[self.number]

    @property
    def domain(self) -> str:
        """Its own."""
        return f"{self.name.lower()}.example"

    @property
    def email(self) -> str:
        """The address of its one person."""
        return f"buyer@{self.domain}"

    def id(self, place: int = 0) -> str:
        """An id in CRM or e-mail tool that nobody else has."""
        return f"{9_000_000 + self.number}{place:03}"

    def ids(self) -> dict[str, str]:
        """The records by what they are called in keys."""
        billing = {"customer": "cus", "subscription": "sub", "item": "si", "invoice": "in", "payment": "ch"}
        return {
            **{kind: self.id() for kind in ("company", "contact", "deal", "call", "recipient")},
            **{f"other_{kind}": self.id(1) for kind in ("company", "contact", "deal", "call")},
            **{kind: f"{prefix}_{self.id()}" for kind, prefix in billing.items()},
            "other_invoice": f"in_{self.id(1)}",
            "person": Erased(ERASURE_KEY).hash(self.email)[:16],
        }

    def __getattr__(self, name: str) -> str:
        try:
            return self.ids()[name]
        except KeyError:
            raise AttributeError(name) from None


class Hands:
    """Who works in the tools, by the sandbox's own path."""

    def __init__(self, address: str, world: World) -> None:
        self.address, self.world = address, world
        started = [c for c in world.email.campaigns if c.created_at < self.ago(100) and c.kind == "outbound"]
        self.campaign = started[-1]

    def ago(self, days: float) -> datetime:
        """A time before the company's present."""
        return self.world.now - timedelta(days=days)

    def edit(self, kind: str, at: datetime | None = None, **edit: Any) -> None:
        """One edit; `at` is when it happened, just now by default."""
        body = {"kind": kind, **edit} | ({"at": at} if at else {})
        answer = requests.post(f"{self.address}/_sandbox/edit", json=_json(body), timeout=60)
        assert answer.status_code == 201, (body, answer.text)

    def create(self, kind: str, at: datetime | None = None, **fields: Any) -> None:
        """A new record."""
        self.edit(kind, at, create=fields)

    def change(self, kind: str, key: str, at: datetime | None = None, **fields: Any) -> None:
        """Other values for fields of a record."""
        self.edit(kind, at, id=key, set=fields)

    def delete(self, kind: str, key: str) -> None:
        """Delete a record."""
        self.edit(kind, id=key, delete=True)


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


Deed = Callable[[Hands, Firm], None]

# ------------------------------------------------------------ parts


def company(hands: Hands, firm: Firm, since: datetime, **more: Any) -> None:
    """Its CRM account."""
    nothing = dict.fromkeys(("industry", "employee_count", "annual_revenue"))
    known = {"name": firm.name, "domain": firm.domain, "country": COUNTRY, "owner_id": OWNER, **nothing}
    given = {"id": firm.company, "lifecycle_stage": "lead", **known, **more}
    hands.create("crm.companies", since, **given)


def contact(hands: Hands, firm: Firm, since: datetime, **more: Any) -> None:
    """Its person in the CRM: somebody a campaign has found and a rep has called."""
    given = {
        "id": firm.contact,
        "company_id": firm.company,
        "email": firm.email,
        "first_name": firm.name,
        "last_name": firm.name[::-1].title(),
        "job_title": None,
        "owner_id": OWNER,
        "lifecycle_stage": "lead",
        "lead_source": "outbound",
        "campaign_id": hands.campaign.id,
        "email_opt_out": False,
        "first_response_at": since + timedelta(hours=2),
        **more,
    }
    hands.create("crm.contacts", since, **given)


def call(hands: Hands, firm: Firm, when: datetime, **more: Any) -> None:
    """A call of the rep to it."""
    given = {
        "id": firm.call,
        "activity_type": "call",
        "direction": "outbound",
        "is_automated": False,
        "owner_id": OWNER,
        "company_id": firm.company,
        "contact_id": None,
        "deal_id": None,
        **more,
    }
    hands.create("crm.activities", when, **given)


def deal(hands: Hands, firm: Firm, since: datetime, **more: Any) -> None:
    """An open deal in its first stage."""
    given = {
        "id": firm.deal,
        "name": firm.name,
        "company_id": firm.company,
        "contact_ids": [firm.contact],
        "owner_id": OWNER,
        "pipeline": "sales",
        "stage": "qualification",
        "amount": QUOTE,
        "currency": "USD",
        "close_date": hands.ago(-30).date(),
        "deal_type": "new_business",
        "product": "growth",
        "lead_source": "outbound",
        "forecast_category": "pipeline",
        **more,
    }
    hands.create("crm.deals", since, **given)


def close(hands: Hands, key: str, when: datetime, stage: str, **more: Any) -> None:
    """Close a deal."""
    category = "closed" if stage == "closedwon" else "omitted"
    given = {"stage": stage, "close_date": when.date(), "forecast_category": category, **more}
    hands.change("crm.deals", key, when, **given)


def customer(hands: Hands, firm: Firm, since: datetime) -> None:
    """Its billing customer, which names the CRM account."""
    given = {"id": firm.customer, "name": firm.name, "email": f"billing@{firm.domain}", "country": COUNTRY}
    named = {"tax_id": None, "currency": "USD", "crm_account_id": firm.company}
    hands.create("billing.customers", since, **given, **named)


def line(key: str, price: str, item: str | None, seats: int, unit: Decimal, *period: datetime) -> Any:
    """A line of an invoice."""
    start, end = period
    return {
        "id": f"il_{key}",
        "price_id": price,
        "item_id": item,
        "description": "Growth",
        "quantity": seats,
        "amount": unit * seats,
        "discount": Decimal(0),
        "discount_id": None,
        "period_start": start,
        "period_end": end,
        "is_proration": False,
    }


def invoice(hands: Hands, firm: Firm, key: str, at: datetime, lines: list[Any], *, paid: bool = True) -> None:
    """An invoice, paid an hour later by card or still open."""
    total = sum((part["amount"] for part in lines), Decimal(0))
    bought = lines[0]["item_id"] is not None
    given = {
        "id": key,
        "number": f"R-{key}",
        "customer_id": firm.customer,
        "subscription_id": firm.subscription if bought else None,
        "status": "paid" if paid else "open",
        "currency": "USD",
        "billing_reason": "subscription_create" if bought else "manual",
        "subtotal": total,
        "discount": Decimal(0),
        "tax": Decimal(0),
        "total": total,
        "amount_paid": total if paid else Decimal(0),
        "amount_due": total,
        "due_at": at + timedelta(days=14),
        "paid_at": at + timedelta(hours=1) if paid else None,
        "lines": lines,
    }
    hands.create("billing.invoices", at, **given)
    if paid:
        charge = {
            "id": key.replace("in_", "ch_"),
            "payment_intent_id": key.replace("in_", "pi_"),
            "invoice_id": key,
            "customer_id": firm.customer,
            "amount": total,
            "currency": "USD",
            "status": "succeeded",
            "failure_code": None,
            "attempt": 1,
        }
        hands.create("billing.payments", at + timedelta(hours=1), **charge)


def subscription(
    hands: Hands,
    firm: Firm,
    start: datetime,
    seats: int = SEATS,
    *,
    terms: int = 1,
    last_seats: int | None = None,
    paid: bool = True,
    **more: Any,
) -> None:
    """A yearly subscription at list price, in its last term perhaps of other seats, and its invoices."""
    last_seats = last_seats or seats
    starts = [add_months(start, 12 * term) for term in range(terms + 1)]
    items = [{"item_id": firm.item, "price_id": PRICE, "quantity": seats, "valid_from": start}]
    if last_seats != seats:
        items[0]["valid_to"] = starts[-2]
        items.append(items[0] | {"quantity": last_seats, "valid_from": starts[-2], "valid_to": None})
    given = {
        "id": firm.subscription,
        "customer_id": firm.customer,
        "status": "active",
        "currency": "USD",
        "started_at": start,
        "trial_start": None,
        "trial_end": None,
        "current_period_start": starts[-2],
        "current_period_end": starts[-1],
        "items": items,
        **more,
    }
    hands.create("billing.subscriptions", start, **given)
    for term, begin in enumerate(starts[:-1]):
        count = last_seats if term == terms - 1 else seats
        key = firm.invoice if term == 0 else firm.other_invoice
        part = line(key, PRICE, firm.item, count, SEAT, begin, starts[term + 1])
        invoice(hands, firm, key, begin, [part], paid=paid)


# ------------------------------------------------------------ whole companies


def prospect(hands: Hands, firm: Firm, days: float = 20) -> None:
    """An open deal, in its third stage, that a rep is working on."""
    since = hands.ago(days)
    company(hands, firm, since)
    contact(hands, firm, since)
    deal(hands, firm, since + timedelta(hours=3))
    hands.change("crm.deals", firm.deal, since + timedelta(days=4), stage="discovery")
    hands.change("crm.deals", firm.deal, since + timedelta(days=8), stage="demo")
    call(hands, firm, hands.ago(5), deal_id=firm.deal)


def long_prospect(hands: Hands, firm: Firm) -> None:
    """One whose deal began two months ago."""
    prospect(hands, firm, 60)


def loser(hands: Hands, firm: Firm) -> None:
    """A deal lost, for a reason."""
    prospect(hands, firm)
    close(hands, firm.deal, hands.ago(2), "closedlost", lost_reason="price")


def signup(hands: Hands, firm: Firm, days: float = 200, *, paid: bool = True) -> None:
    """A customer who bought without a deal."""
    start = hands.ago(days)
    company(hands, firm, start, lifecycle_stage="customer", billing_customer_id=firm.customer)
    customer(hands, firm, start)
    subscription(hands, firm, start, paid=paid)


def fresh_signup(hands: Hands, firm: Firm) -> None:
    """One of this week, whose first invoice is not due yet."""
    signup(hands, firm, FRESH, paid=False)


def customer_of(days: float, seats: int = SEATS, **more: Any) -> Deed:
    """A customer whose deal was won so many days ago; `more` is about the subscription."""

    def enter(hands: Hands, firm: Firm) -> None:
        won = hands.ago(days)
        start = won + timedelta(hours=1)
        since = won - timedelta(days=12)
        company(hands, firm, since, billing_customer_id=firm.customer)
        contact(hands, firm, since)
        deal(hands, firm, since + timedelta(hours=3), amount=SEAT * seats)
        customer(hands, firm, start)
        subscription(hands, firm, start, seats, **more)
        close(hands, firm.deal, won, "closedwon", billing_subscription_id=firm.subscription)
        for kind, key in (("companies", firm.company), ("contacts", firm.contact)):
            hands.change(f"crm.{kind}", key, won, lifecycle_stage="customer")

    return enter


def former(days: float) -> Deed:
    """A customer of one year, who left so many days ago."""

    def enter(hands: Hands, firm: Firm) -> None:
        start = add_months(hands.ago(days), -12)
        left = add_months(start, 12)
        company(hands, firm, start, lifecycle_stage="customer", billing_customer_id=firm.customer)
        customer(hands, firm, start)
        given: dict[str, Any] = {
            "cancel_at_period_end": True,
            "cancel_at": left,
            "canceled_at": left - timedelta(days=30),
        }
        ends: dict[str, Any] = {"ended_at": left, "cancellation_reason": "cancellation_requested"}
        subscription(hands, firm, start, **given, **ends)
        sold = {"item_id": firm.item, "price_id": PRICE, "quantity": SEATS, "valid_from": start}
        hands.change(
            "billing.subscriptions",
            firm.subscription,
            left,
            status="canceled",
            items=[sold | {"valid_to": left}],
        )
        hands.change("crm.companies", firm.company, left, lifecycle_stage="other")

    return enter


def renewing(hands: Hands, firm: Firm) -> None:
    """A customer whose year is nearly over, and whose renewal a rep is working on."""
    customer_of(330)(hands, firm)
    renewal = {"pipeline": "renewals", "stage": "renewal_open", "deal_type": "renewal", "lead_source": None}
    ends = add_months(hands.ago(330), 12).date()
    renewal |= {"id": firm.other_deal, "billing_subscription_id": firm.subscription}
    deal(hands, firm, hands.ago(40), amount=YEARLY, close_date=ends, **renewal)
    call(hands, firm, hands.ago(5), deal_id=firm.other_deal)


def grown(hands: Hands, firm: Firm) -> None:
    """A customer who renewed for twice the seats, which a rep had sold."""
    customer_of(380, terms=2, last_seats=2 * SEATS)(hands, firm)
    sold = add_months(hands.ago(380), 12) - timedelta(days=2)
    expansion = {"id": firm.other_deal, "deal_type": "expansion", "lead_source": None, "amount": YEARLY}
    deal(hands, firm, sold - timedelta(days=9), **expansion)
    close(hands, firm.other_deal, sold, "closedwon")


def returner(hands: Hands, firm: Firm) -> None:
    """A former customer whom sales could not win back."""
    former(150)(hands, firm)
    contact(hands, firm, hands.ago(140))
    deal(hands, firm, hands.ago(139), id=firm.other_deal)
    close(hands, firm.other_deal, hands.ago(100), "closedlost", lost_reason="price")


def owing(hands: Hands, firm: Firm) -> None:
    """A customer who owes a fee, and whom somebody has called about it."""
    customer_of(200)(hands, firm)
    at = hands.ago(60)
    fee = line(firm.other_invoice, "price_onboarding_usd_once", None, 1, FEE, at, at)
    invoice(hands, firm, firm.other_invoice, at, [fee], paid=False)
    call(hands, firm, hands.ago(5))


def inbound_lead(hands: Hands, firm: Firm) -> None:
    """Somebody who came by themselves and was called the next day."""
    since = hands.ago(10)
    company(hands, firm, since)
    contact(hands, firm, since, lead_source="inbound", campaign_id=None, first_response_at=None)
    call(hands, firm, since + timedelta(days=1), contact_id=firm.contact)


def reader(*events: str, **more: Any) -> Deed:
    """A lead who is in a campaign of the e-mail tool, and what happened there twenty days ago."""

    def enter(hands: Hands, firm: Firm) -> None:
        since, campaign = hands.ago(25), hands.campaign
        company(hands, firm, since)
        contact(hands, firm, since, **more)
        status = {"reply": "replied", "bounce": "bounced", "unsubscribe": "unsubscribed"}[events[-1]]
        given = {"email": firm.email, "first_name": firm.name, "last_name": firm.name[::-1].title()}
        gone = {"unsubscribed_at": hands.ago(20)} if status == "unsubscribed" else {}
        hands.create(
            "email.recipients",
            since,
            **given,
            id=firm.recipient,
            campaign_id=campaign.id,
            company_name=firm.name,
            status=status,
            **gone,
        )
        for place, kind in enumerate(("sent", *events)):
            hands.create(
                "email.events",
                hands.ago(20) + timedelta(minutes=place),
                id=firm.id(place),
                campaign_id=campaign.id,
                recipient_id=firm.recipient,
                message_id=campaign.message_ids[0],
                email=firm.email,
                event_type=kind,
                bounce_type="hard" if kind == "bounce" else None,
            )

    return enter


def acquaintance(hands: Hands, firm: Firm) -> None:
    """A person the CRM knows, who is no lead and works nowhere."""
    contact(hands, firm, hands.ago(30), company_id=None, lifecycle_stage="subscriber", lead_source=None)


def nothing(hands: Hands, firm: Firm) -> None:
    """The fault is in what the company has already."""
