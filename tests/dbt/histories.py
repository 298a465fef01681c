"""Subscription histories that hypothesis makes up, as rows of the silo contract."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from compiled import Row, Rows
from hypothesis import strategies as st

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
#: End of what is told; the leap day is told of, and what was paid a year before the last months.
AS_OF = datetime(2025, 4, 1, tzinfo=UTC)
CURRENCIES = ["USD", "eur", "GBP", None]

_days = st.integers(0, (AS_OF - FIRST).days - 1)
_turns = st.sampled_from([31, 59, 60, 366, 397])  # ends of months, the leap day, the day after it
_hours = st.sampled_from([0, 0, 1, 13, 23])
instants: st.SearchStrategy[datetime] = st.builds(
    lambda day, hour: FIRST + timedelta(days=day, hours=hour), _days | _turns, _hours
)
_amounts = st.sampled_from([None, "0", "0.01", "9.99", "33.3333", "100", "1200", "98765.43"])
_percents = st.sampled_from(["0", "10", "12.5", "33.33", "100"])


def _later(start: datetime) -> st.SearchStrategy[datetime | None]:
    """None, or within some months; now and then at once."""
    spans = st.sampled_from([0, 3, 17, 31, 90, 365]).map(lambda days: start + timedelta(days=days))
    return st.none() | spans


@st.composite
def _subscription(draw: Callable[..., Any], key: str, customer: str) -> dict[str, list[Row]]:
    own = {"source": "pay", "subscription_id": key}
    currency = draw(st.sampled_from(CURRENCIES))
    started = draw(instants)
    ended = draw(_later(started))
    canceled = ended and ended - timedelta(days=draw(st.sampled_from([0, 20])))
    reason = draw(st.sampled_from([None, "payment_failed", "cancellation_requested"])) if ended else None
    # Versions follow each other; some overlap, and some begin before the subscription does.
    turns = sorted(draw(st.lists(instants, max_size=2)))
    begins = [started - timedelta(days=draw(st.sampled_from([0, 0, 40]))), *turns]
    ends = [*turns, draw(_later(begins[-1]))]
    overlap = timedelta(days=draw(st.sampled_from([0, 0, 2])))
    interval, count = draw(
        st.sampled_from([("month", 1), ("month", None), ("year", 1), ("month", 3), ("week", 6), ("day", 1)])
    )
    rows: dict[str, list[Row]] = {
        "subscriptions": [
            own
            | {
                "customer_id": customer,
                "currency": currency,
                "status": draw(st.sampled_from(["active", "active", "past_due", "incomplete"])),
                "created_at": started,
                "started_at": started,
                "trial_end": draw(_later(started)),
                "canceled_at": canceled,
                "ended_at": ended,
                "cancellation_reason": reason,
            }
        ],
        "subscription_items": [
            own
            | {
                "subscription_item_id": f"{key}i{draw(st.sampled_from([1, 2]))}{place}",
                "valid_from": begin,
                "valid_to": end and end + overlap,
                "unit_amount": draw(_amounts),
                "quantity": draw(st.sampled_from([None, "0", "1", "7"])),
                "currency": currency,
                "interval": interval,
                "interval_count": count,
            }
            for place, (begin, end) in enumerate(zip(begins, ends, strict=True))
        ],
        "discounts": [],
        "subscription_pauses": [],
        "invoices": [],
        "payments": [],
    }
    if draw(st.booleans()):
        begin = draw(instants)
        of_customer = draw(st.booleans())
        percent = draw(st.none() | _percents)
        discount = {
            "source": "pay",
            "discount_id": f"{key}d",
            "customer_id": customer,
            "subscription_id": None if of_customer else key,
            "percent_off": percent,
            "amount_off": None if percent else draw(_amounts),
            "starts_at": begin,
            "ends_at": draw(_later(begin)),
        }
        rows["discounts"].append(discount)
    if draw(st.booleans()):
        begin = draw(instants)
        rows["subscription_pauses"].append(own | {"paused_at": begin, "resumed_at": draw(_later(begin))})
    if draw(st.booleans()):
        issued = draw(instants)
        invoice = own | {"invoice_id": f"{key}n", "customer_id": customer, "issued_at": issued}
        rows["invoices"].append(invoice | {"paid_at": draw(_later(issued))})
        payment = {"source": "pay", "payment_id": f"{key}p", "invoice_id": f"{key}n", "status": "failed"}
        rows["payments"].append(payment | {"attempted_at": issued})
    return rows


@st.composite
def histories(draw: Callable[..., Any]) -> Rows:
    """Some accounts with one to three subscriptions each, exchange rates that move, and some deals."""
    tables: dict[str, list[Row]] = {
        "identity.accounts": [],
        "identity.billing_customers": [],
        "finance.fx_rates": [],
    }
    for number in range(draw(st.integers(1, 12))):
        tables["identity.accounts"].append({"account": f"A{number}"})
        for place in range(draw(st.integers(1, 3))):
            customer = f"c{number}{'b' if place == 2 else ''}"  # an account may be two customers
            made = draw(_subscription(f"s{number}{place}", customer))
            for table, rows in made.items():
                tables.setdefault(f"billing.{table}", []).extend(rows)
            link = {"source": "pay", "customer_id": customer, "account": f"A{number}"}
            if link not in tables["identity.billing_customers"]:
                tables["identity.billing_customers"].append(link)
    for currency in ("EUR", "GBP"):
        first = {"source": "bank", "currency": currency, "rate_date": "2023-12-01", "rate": "1.1"}
        tables["finance.fx_rates"].append(first)
        for number, day in enumerate(sorted(draw(st.sets(_days, max_size=3)))):
            rate = first | {
                "rate_date": (FIRST + timedelta(days=day)).date(),
                "rate": f"{0.8 + number / 7:.8f}",
            }
            tables["finance.fx_rates"].append(rate)
    tables["crm.opportunities"] = [
        {
            "source": "hub",
            "opportunity_id": f"o{number}",
            "outcome": draw(st.sampled_from(["won", "lost", "open"])),
            "amount": draw(_amounts),
            "currency": draw(st.sampled_from(["USD", "EUR"])),
            "product": draw(st.sampled_from([None, "Pro", "Basic"])),
            "lead_source": draw(st.sampled_from([None, "web"])),
            "created_at": (created := draw(instants)),
            "closed_at": draw(_later(created)),
        }
        for number in range(draw(st.integers(0, 4)))
    ]
    return tables


def known_at(rows: Rows, instant: datetime) -> Rows:
    """What the sources said at an instant: nothing had happened that happened from then on."""

    def until(row: Row, *names: str) -> Row:
        return {
            name: None if name in names and value is not None and value >= instant else value
            for name, value in row.items()
        }

    began = {
        "billing.subscriptions": "created_at",
        "billing.subscription_items": "valid_from",
        "billing.discounts": "starts_at",
        "billing.subscription_pauses": "paused_at",
        "billing.invoices": "issued_at",
        "billing.payments": "attempted_at",
        "crm.opportunities": "created_at",
    }
    ended = ("canceled_at", "ended_at", "valid_to", "resumed_at", "paid_at", "closed_at")
    found: dict[str, list[Row]] = {}
    for table, given in rows.items():
        begun = [row for row in given if table not in began or row[began[table]] < instant]
        found[table] = [_undone(row, until(row, *ended)) for row in begun]
    return found


def _undone(row: Row, told: Row) -> Row:
    """What goes with an end that has not come: its reason, and the deal's outcome."""
    if "ended_at" in row and told["canceled_at"] is None:
        return {**told, "cancellation_reason": None}
    if "outcome" in row and row["closed_at"] is not None and told["closed_at"] is None:
        return {**told, "outcome": "open"}
    return told
