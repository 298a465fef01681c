"""One fault for each gap type: what is changed in which company's tools, the row it gives, the repair.

Owners, severities and silos are written down here once more, from what the gap types are for: the catalogue
cannot say itself whether it is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import planted_companies as made
from planted_companies import CRM, FEE, QUOTE, SEATS, YEARLY, Deed, Firm, Hands

from sandbox.simulation.timeline import add_months
from sandbox.world import World

ZERO = Decimal(0)
SEVERITIES = {
    "critical": (
        *("stale_source", "incomplete_load", "missing_day", "missing_fx_rate", "won_without_billing"),
        *("paying_without_crm", "contradicting_ids", "deal_contract_mismatch", "customer_but_charged"),
        *("unsubscribed_but_mailable", "bridge_residual", "erasure_incomplete"),
    ),
    "medium": (
        *("duplicate_people", "term_mismatch", "upgrade_without_opportunity", "off_list_price"),
        *("bounced_but_active", "idle_opportunity", "stage_skipped", "missing_lead_source", "untouched_win"),
    ),
}
#: Silo and key; `{deal}` and the like stand for the firm's records, other words for what `Fault.told` gives.
Side = tuple[str, str | None]


@dataclass(frozen=True)
class Row:
    """A row of the register, as far as a fault decides it."""

    gap_type: str
    silo_left: str
    key_left: str
    silo_right: str | None
    key_right: str | None
    account: str | None
    owner_team: str
    severity: str
    money_at_risk: Decimal | None


@dataclass(frozen=True)
class Fault:
    """A gap type, how it comes about and how it is repaired."""

    gap_type: str
    owner: str
    left: Side
    right: Side | tuple[None, None]
    healthy: Deed
    plant: Deed
    repair: Deed
    money: Decimal | Callable[[World], Decimal] | None = ZERO
    account: str | None = f"crm:{CRM}:{{company}}"
    told: Callable[[World], dict[str, str]] = lambda world: {}

    def row(self, firm: Firm, world: World) -> Row:
        """What it must look like in the register."""
        words = {**firm.ids(), **self.told(world)}

        def said(text: str | None) -> str | None:
            return text and text.format(**words)

        money = self.money(world) if callable(self.money) else self.money
        key = said(self.left[1])
        assert key is not None and self.left[0] is not None
        sides = (self.left[0], key, self.right[0], said(self.right[1]))
        return Row(self.gap_type, *sides, said(self.account), self.owner, self.severity, money)

    @property
    def severity(self) -> str:
        """How much it matters."""
        return next((level for level, types in SEVERITIES.items() if self.gap_type in types), "high")


def swapped(kind: str, which: str, **values: tuple[Any, Any]) -> tuple[Deed, Deed]:
    """Fields that are set to a wrong value, and to the right one again."""

    def put(place: int) -> Deed:
        def deed(hands: Hands, firm: Firm) -> None:
            hands.change(kind, firm.ids()[which], **{name: pair[place] for name, pair in values.items()})

        return deed

    return put(0), put(1)


def archived(kind: str, which: str) -> tuple[Deed, Deed]:
    """A record that is deleted in the CRM, and had back."""
    return (
        lambda hands, firm: hands.delete(kind, firm.ids()[which]),
        lambda hands, firm: hands.change(kind, firm.ids()[which], archived_at=None),
    )


def added(kind: str, enter: Deed, which: str) -> tuple[Deed, Deed]:
    """A record too many, and its deletion."""
    return enter, lambda hands, firm: hands.delete(kind, firm.ids()[which])


# ------------------------------------------------------------ the doors

#: Contacts imported with the dates they had elsewhere: no connector that asks for changes sees them.
IMPORTED = 3


def _import(hands: Hands, firm: Firm) -> None:
    before = hands.ago(30)
    for place in range(IMPORTED):
        more = {"id": firm.id(place), "email": f"p{place}@{firm.domain}", "updated_at": before}
        nobody = {"company_id": None, "lifecycle_stage": "subscriber", "lead_source": None}
        names = {"first_name": f"{firm.name}{place}", "last_name": f"{place}{firm.name}"}
        made.contact(hands, firm, before, **more, **nobody, **names)


def _touch_imported(hands: Hands, firm: Firm) -> None:
    for place in range(IMPORTED):
        hands.change("crm.contacts", firm.id(place), job_title="Buyer")


def _known(hands: Hands, firm: Firm) -> None:
    made.company(hands, firm, hands.ago(100))
    made.contact(hands, firm, hands.ago(90))
    made.call(hands, firm, hands.ago(90))


#: Calls on each of nine Sundays, when nobody else works.
CALLS = 12


def sunday(world: World) -> datetime:
    """The last one."""
    day = world.now - timedelta(days=1)
    return datetime.combine(day.date() - timedelta(days=(day.weekday() + 1) % 7), time(10), UTC)


def _on_sundays(hands: Hands, firm: Firm) -> None:
    made.company(hands, firm, hands.ago(100))
    for week in range(9):
        for place in range(CALLS):
            when = sunday(hands.world) - timedelta(weeks=week) + timedelta(minutes=place)
            made.call(hands, firm, when, id=firm.id(week * CALLS + place))


def _moved(by: timedelta) -> Deed:
    def move(hands: Hands, firm: Firm) -> None:
        for place in range(CALLS):
            when = sunday(hands.world) + timedelta(minutes=place) + by
            hands.change("crm.activities", firm.id(place), occurred_at=when)

    return move


def _last_spend(world: World) -> list[Any]:
    months = sorted({spend.month for spend in world.finance.spend})[-2:]
    return [spend for spend in world.finance.spend if spend.month in months]


def _no_spend(hands: Hands, firm: Firm) -> None:
    for spend in _last_spend(hands.world):
        hands.delete("finance.spend", spend.id)


def _all_spend(hands: Hands, firm: Firm) -> None:
    for spend in _last_spend(hands.world):
        hands.create("finance.spend", **vars(spend))


def _forecast(world: World) -> dict[str, str]:
    return {"forecast": world.finance.forecasts[0].id}


def _write_forecast(amount: Callable[[Any], Any]) -> Deed:
    def write(hands: Hands, firm: Firm) -> None:
        first = hands.world.finance.forecasts[0]
        hands.change("finance.forecasts", first.id, amount=amount(first))

    return write


#: A currency of its own, with a rate a week.
FRANC = Decimal("1.25")


def _weeks(world: World) -> list[date]:
    return [world.now.date() - timedelta(days=1 + 7 * week) for week in range(20)][::-1]


def _in_francs(hands: Hands, firm: Firm) -> None:
    for day in _weeks(hands.world):
        hands.create("finance.fx_rates", rate_date=day, currency="CHF", rate=FRANC)
    made.prospect(hands, firm)
    hands.change("crm.deals", firm.deal, currency="CHF")


def _no_rates(hands: Hands, firm: Firm) -> None:
    for day in _weeks(hands.world)[-3:]:
        hands.delete("finance.fx_rates", f"{day} CHF")


def _all_rates(hands: Hands, firm: Firm) -> None:
    for day in _weeks(hands.world)[-3:]:
        hands.create("finance.fx_rates", rate_date=day, currency="CHF", rate=FRANC)


# ------------------------------------------------------------ between the silos


def _win_unbilled(hands: Hands, firm: Firm) -> None:
    made.close(hands, firm.deal, hands.ago(9), "closedwon")


def _bill(hands: Hands, firm: Firm) -> None:
    made.customer(hands, firm, hands.ago(1))


def _enter_again(**more: Any) -> Deed:
    return lambda hands, firm: made.company(hands, firm, hands.ago(3), id=firm.other_company, **more)


def _meet_again(hands: Hands, firm: Firm) -> None:
    made.contact(hands, firm, hands.ago(1), id=firm.other_contact, email=firm.email.upper())


def _name_another(hands: Hands, firm: Firm) -> None:
    hands.change("crm.companies", firm.company, billing_customer_id=CONTRADICTED.customer)


def _name_its_own(hands: Hands, firm: Firm) -> None:
    hands.change("crm.companies", firm.company, billing_customer_id=firm.customer)


def _win_again(hands: Hands, firm: Firm) -> None:
    made.close(hands, firm.other_deal, hands.ago(100), "closedwon")


def _lose_again(hands: Hands, firm: Firm) -> None:
    made.close(hands, firm.other_deal, hands.ago(100), "closedlost")


def _in_euros(world: World) -> Decimal:
    day = (world.now - timedelta(days=200)).date()
    [rate] = [fx.rate for fx in world.finance.fx_rates if fx.currency == "EUR" and fx.rate_date == day]
    return round(YEARLY * rate, 2)


def _expect(days: int) -> Deed:
    """The renewal, so many days after the contract's end."""

    def expect(hands: Hands, firm: Firm) -> None:
        due = add_months(hands.ago(330), 12) + timedelta(days=days)
        hands.change("crm.deals", firm.other_deal, close_date=due.date())

    return expect


def _two_customers(hands: Hands, firm: Firm) -> None:
    made.customer_of(200)(hands, firm)
    made.customer_of(200)(hands, CONTRADICTED)


def _renewed_on(world: World) -> dict[str, str]:
    return {"day": f"{add_months(world.now - timedelta(days=380) + timedelta(hours=1), 12):%Y-%m-%d}"}


def _sell_at(unit: Decimal, listed: bool) -> Deed:
    """The price of a seat, on the subscription and on its bill, which is not paid yet."""

    def sell(hands: Hands, firm: Firm) -> None:
        start = hands.ago(made.FRESH)
        item = {"item_id": firm.item, "price_id": made.PRICE, "quantity": SEATS, "valid_from": start}
        item["unit_amount"] = None if listed else unit
        hands.change("billing.subscriptions", firm.subscription, items=[item])
        part = made.line(firm.invoice, made.PRICE, firm.item, SEATS, unit, start, add_months(start, 12))
        sums = dict.fromkeys(("subtotal", "total", "amount_due"), unit * SEATS)
        hands.change("billing.invoices", firm.invoice, lines=[part], **sums)

    return sell


OFF = Decimal(39)
#: Seats whose bill, spread over twice the time, is more than two percent of anybody's MRR.
MANY = 600
FEW_DAYS = 20


def _bill_for(months: int) -> Deed:
    """A year's fee, as if it were for so many months."""

    def bill(hands: Hands, firm: Firm) -> None:
        start = hands.ago(FEW_DAYS) + timedelta(hours=1)
        period = (start, add_months(start, months))
        part = made.line(firm.invoice, made.PRICE, firm.item, MANY, made.SEAT, *period)
        hands.change("billing.invoices", firm.invoice, lines=[part])

    return bill


def _last_month(world: World) -> dict[str, str]:
    return {"month": f"{world.now - timedelta(microseconds=1):%Y-%m}"}


#: Whose customer another account names.
CONTRADICTED = Firm(len(made.NAMES) - 1)

#: Another gap type is another entry; test_mutations.py names those of the catalogue that lack one.
FAULTS = (
    # the doors
    Fault(
        *("stale_source", "data", ("finance", "budget"), (None, None)),
        *(made.nothing, _no_spend, _all_spend),
        money=None,
        account=None,
    ),
    Fault(
        *("incomplete_load", "data", ("crm", f"{CRM} contacts"), ("crm", None)),
        *(made.nothing, _import, _touch_imported),
        money=None,
        account=None,
    ),
    Fault(
        *("unparsed_rows", "data", ("finance", "finance forecasts.amount {forecast}"), (None, None)),
        *(made.nothing, _write_forecast(lambda first: "a lot"), _write_forecast(lambda first: first.amount)),
        money=None,
        account=None,
        told=_forecast,
    ),
    Fault(
        *("unexpected_value", "data", ("crm", "crm.opportunities.opportunity_type upsell"), (None, None)),
        made.loser,
        *swapped("crm.deals", "deal", deal_type=("upsell", "new_business")),
        money=None,
        account=None,
    ),
    Fault(
        *("missing_day", "data", ("crm", f"{CRM} crm.activities {{day}}"), ("crm", None)),
        *(_on_sundays, _moved(timedelta(days=-1)), _moved(timedelta(0))),
        money=None,
        account=None,
        told=lambda world: {"day": f"{sunday(world):%Y-%m-%d}"},
    ),
    Fault(
        *("impossible_dates", "revops", ("crm", "crm.contacts {contact}"), ("crm", None)),
        made.acquaintance,
        lambda hands, firm: hands.change("crm.contacts", firm.contact, created_at=hands.ago(-36_500)),
        lambda hands, firm: hands.change("crm.contacts", firm.contact, created_at=hands.ago(30)),
        money=None,
        account=None,
    ),
    Fault(
        *("missing_fx_rate", "finance", ("finance", "CHF after {day}"), ("finance", None)),
        *(_in_francs, _no_rates, _all_rates),
        money=QUOTE * FRANC,
        account=None,
        told=lambda world: {"day": f"{_weeks(world)[-4]}"},
    ),
    # who is who
    Fault(
        *("duplicate_accounts", "revops", ("crm", "{company}"), ("crm", "{other_company}")),
        made.prospect,
        *added("crm.companies", _enter_again(name="Another spelling"), "other_company"),
    ),
    Fault(
        *("ambiguous_identity", "revops"),
        *(("crm", f"crm:{CRM}:{{company}}"), ("crm", f"crm:{CRM}:{{other_company}}")),
        made.prospect,
        *added("crm.companies", _enter_again(domain=None, country="FR"), "other_company"),
    ),
    Fault(
        *("contradicting_ids", "revops", ("crm", "{company}"), ("billing", CONTRADICTED.customer)),
        *(_two_customers, _name_another, _name_its_own),
        money=YEARLY,
        account=f"crm:{CRM}:{CONTRADICTED.company}",
    ),
    Fault(
        *("duplicate_people", "marketing ops", ("crm", "{contact}"), ("crm", "{other_contact}")),
        made.prospect,
        *added("crm.contacts", _meet_again, "other_contact"),
        account=None,
    ),
    # sold and billed
    Fault(
        *("won_without_billing", "finance", ("crm", "{deal}"), ("billing", None)),
        *(made.prospect, _win_unbilled, _bill),
        money=QUOTE,
    ),
    Fault(
        *("won_without_subscription", "finance", ("crm", "{other_deal}"), ("billing", "{customer}")),
        *(made.returner, _win_again, _lose_again),
        money=QUOTE,
    ),
    Fault(
        *("paying_without_crm", "revops", ("billing", "{customer}"), ("crm", None)),
        made.signup,
        *archived("crm.companies", "company"),
        money=YEARLY,
    ),
    Fault(
        *("deal_contract_mismatch", "deal desk", ("crm", "{deal}"), ("billing", "{subscription}")),
        made.customer_of(200),
        *swapped("crm.deals", "deal", amount=(YEARLY + 700, YEARLY)),
        money=Decimal(700),
    ),
    Fault(
        *("currency_mismatch", "finance", ("crm", "{deal}"), ("billing", "{subscription}")),
        made.customer_of(200),
        *swapped("crm.deals", "deal", currency=("EUR", "USD")),
        money=_in_euros,
    ),
    Fault(
        *("term_mismatch", "deal desk", ("crm", "{other_deal}"), ("billing", "{subscription}")),
        *(made.renewing, _expect(40), _expect(0)),
        money=YEARLY,
    ),
    Fault(
        *("churned_but_customer", "customer success", ("billing", "{customer}"), ("crm", "{company}")),
        made.former(40),
        *swapped("crm.companies", "company", lifecycle_stage=("customer", "other")),
        money=YEARLY,
    ),
    Fault(
        *("customer_but_charged", "finance", ("crm", "{company}"), ("billing", "{customer}")),
        made.customer_of(200),
        *swapped("crm.companies", "company", lifecycle_stage=("other", "customer")),
        money=YEARLY,
    ),
    Fault(
        *("renewal_without_opportunity", "customer success", ("billing", "{subscription}"), ("crm", None)),
        made.renewing,
        *archived("crm.deals", "other_deal"),
        money=YEARLY,
    ),
    Fault(
        *("upgrade_without_opportunity", "account management"),
        *(("billing", "{subscription} {day}"), ("crm", None)),
        made.grown,
        *archived("crm.deals", "other_deal"),
        money=YEARLY,
        told=_renewed_on,
    ),
    Fault(
        *("paid_amount_mismatch", "finance", ("billing", "{invoice}"), ("billing", None)),
        made.customer_of(200),
        *swapped("billing.invoices", "invoice", amount_paid=(YEARLY - 90, YEARLY)),
        money=Decimal(90),
    ),
    Fault(
        *("past_due_unattended", "customer success", ("billing", "{other_invoice}"), ("crm", None)),
        made.owing,
        *archived("crm.activities", "call"),
        money=FEE,
    ),
    Fault(
        *("off_list_price", "deal desk"),
        *(("billing", f"{{subscription}}:{made.PRICE}"), ("billing", made.PRICE)),
        *(made.fresh_signup, _sell_at(made.SEAT - OFF, False), _sell_at(made.SEAT, True)),
        money=OFF * SEATS,
    ),
    Fault(
        *("unknown_product", "revops", ("crm", "teleporter"), ("billing", None)),
        made.prospect,
        *swapped("crm.deals", "deal", product=("teleporter", "growth")),
        money=QUOTE,
        account=None,
    ),
    Fault(
        *("bridge_residual", "finance"),
        *(("billing", f"crm:{CRM}:{{company}} {{month}} billed"), ("billing", None)),
        *(made.customer_of(FEW_DAYS, MANY), _bill_for(24), _bill_for(12)),
        money=made.SEAT * MANY / 2,
        told=_last_month,
    ),
    # mail
    Fault(
        *("reply_without_lead", "sdr", ("email", "{recipient}"), ("crm", None)),
        made.reader("open", "reply"),
        *archived("crm.contacts", "contact"),
        account=None,
    ),
    Fault(
        *("unsubscribed_but_mailable", "marketing", ("email", "{recipient}"), ("crm", "{contact}")),
        made.reader("unsubscribe", email_opt_out=True),
        *swapped("crm.contacts", "contact", email_opt_out=(False, True)),
        account=None,
    ),
    Fault(
        *("bounced_but_active", "marketing ops", ("email", "{recipient}"), ("crm", "{contact}")),
        made.reader("bounce", email_opt_out=True),
        *swapped("crm.contacts", "contact", email_opt_out=(False, True)),
        account=None,
    ),
    # sales
    Fault(
        *("lead_unanswered", "sdr", ("crm", "{contact}"), ("crm", None)),
        made.inbound_lead,
        *archived("crm.activities", "call"),
        account=None,
    ),
    Fault(
        *("internal_accounts", "revops", ("crm", "{company}"), ("crm", None)),
        made.prospect,
        lambda hands, firm: hands.change("crm.companies", firm.company, name="Test Account"),
        lambda hands, firm: hands.change("crm.companies", firm.company, name=firm.name),
        money=QUOTE,
    ),
    Fault(
        *("close_date_past", "sales", ("crm", "{deal}"), ("crm", None)),
        made.prospect,
        lambda hands, firm: hands.change("crm.deals", firm.deal, close_date=hands.ago(2).date()),
        lambda hands, firm: hands.change("crm.deals", firm.deal, close_date=hands.ago(-30).date()),
        money=QUOTE,
    ),
    Fault(
        *("closed_without_reason", "sales", ("crm", "{deal}"), ("crm", None)),
        made.loser,
        *swapped("crm.deals", "deal", lost_reason=(None, "price")),
        money=QUOTE,
    ),
    Fault(
        *("orphan_owner", "sales ops", ("crm", "opportunity {deal}"), ("crm", None)),
        made.prospect,
        *swapped("crm.deals", "deal", owner_id=(None, made.OWNER)),
        money=QUOTE,
    ),
    Fault(
        *("opportunity_without_account", "sales", ("crm", "{deal}"), ("crm", None)),
        made.prospect,
        lambda hands, firm: hands.change("crm.deals", firm.deal, contact_ids=[]),
        lambda hands, firm: hands.change("crm.deals", firm.deal, contact_ids=[firm.contact]),
        money=QUOTE,
    ),
    Fault(
        *("idle_opportunity", "sales", ("crm", "{deal}"), ("crm", None)),
        made.long_prospect,
        *archived("crm.activities", "call"),
        money=QUOTE,
    ),
    Fault(
        *("stage_skipped", "sales", ("crm", "{deal}"), ("crm", None)),
        made.prospect,
        lambda hands, firm: hands.change("crm.deals", firm.deal, hands.ago(2), stage="discovery"),
        lambda hands, firm: hands.change("crm.deals", firm.deal, hands.ago(1), stage="demo"),
        money=QUOTE,
    ),
    Fault(
        *("missing_lead_source", "marketing", ("crm", "{deal}"), ("crm", None)),
        made.customer_of(200),
        *swapped("crm.deals", "deal", lead_source=(None, "outbound")),
        money=YEARLY,
    ),
    Fault(
        *("untouched_win", "marketing", ("crm", "{deal}"), ("crm", None)),
        made.customer_of(40),
        lambda hands, firm: hands.change("crm.contacts", firm.contact, campaign_id=None),
        lambda hands, firm: hands.change("crm.contacts", firm.contact, campaign_id=hands.campaign.id),
        money=YEARLY,
    ),
    Fault(
        *("erasure_incomplete", "data", ("crm", "{person}"), ("crm", None)),
        _known,
        lambda hands, firm: hands.change("crm.contacts", firm.contact, job_title="Buyer"),
        lambda hands, firm: hands.change("crm.contacts", firm.contact, email=f"nobody@{firm.domain}"),
        money=None,
        account=None,
    ),
)
#: Whose address the suite erases from the warehouse, each time before it runs on.
ERASED = Firm(next(place for place, fault in enumerate(FAULTS) if fault.gap_type == "erasure_incomplete"))
#: Faults in companies of their own.
PLANTED = tuple((fault, Firm(number)) for number, fault in enumerate(FAULTS))
assert len(PLANTED) < CONTRADICTED.number
