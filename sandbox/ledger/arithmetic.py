"""The ledger's arithmetic: exact fractions, rounded half away from zero once; periods; exchange rates."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from sandbox.world import FxRate

#: Charges of an interval in a month.
PER_MONTH = {
    "day": Fraction(365, 12),
    "week": Fraction(52, 12),
    "month": Fraction(1),
    "year": Fraction(1, 12),
}
ZERO = Decimal(0)


def cents(amount: Fraction | Decimal | int) -> Decimal:
    """Rounded half away from zero to two decimals."""
    exact = Fraction(amount) * 100
    whole = (abs(exact) + Fraction(1, 2)).__floor__()
    return Decimal(whole if exact >= 0 else -whole).scaleb(-2)


def monthly(amount: Fraction | Decimal | int, interval: str, count: int | None) -> Fraction:
    """A recurring charge as an amount a month, exact."""
    return Fraction(amount) * PER_MONTH[interval] / (count or 1)


def ratio(numerator: Decimal | Fraction, denominator: Decimal | Fraction) -> Decimal | None:
    """Numerator over denominator to 12 decimals, rounded half away from zero; None over zero."""
    if not denominator:
        return None
    exact = Fraction(numerator) / Fraction(denominator)
    return (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("1e-12"), ROUND_HALF_UP)


def median(values: Sequence[int]) -> Decimal | None:
    """The middle value."""
    return quantile(values, Fraction(1, 2))


def quantile(values: Sequence[int], share: Fraction) -> Decimal | None:
    """A quantile, interpolated between neighbours."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    exact = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    return ratio(exact, Fraction(1))


# ---------------------------------------------------------------- periods


def at_midnight(day: date) -> datetime:
    """First instant of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def next_month(day: date, months: int = 1) -> date:
    """First of the month some months on."""
    place = day.year * 12 + day.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)


@dataclass(frozen=True)
class Period:
    """A half-open span of whole months: [start, end)."""

    kind: str  # month | quarter | year | all
    start: date
    end: date

    def holds(self, when: datetime) -> bool:
        """Whether an instant lies in it."""
        return at_midnight(self.start) <= when < at_midnight(self.end)

    def months(self) -> list[date]:
        """Its months' first days."""
        found, month = [], self.start
        while month < self.end:
            found.append(month)
            month = next_month(month)
        return found


def periods(first: date, as_of: datetime) -> list[Period]:
    """All months, quarters, years and `all` from the first month to the one of the last instant."""
    months = []
    month = first.replace(day=1)
    while at_midnight(month) < as_of:
        months.append(Period("month", month, next_month(month)))
        month = next_month(month)
    quarters = {date(m.start.year, (m.start.month - 1) // 3 * 3 + 1, 1) for m in months}
    years = {date(m.start.year, 1, 1) for m in months}
    found = months + [Period("quarter", q, next_month(q, 3)) for q in sorted(quarters)]
    found += [Period("year", y, next_month(y, 12)) for y in sorted(years)]
    if months:
        found.append(Period("all", months[0].start, months[-1].end))
    return found


# ---------------------------------------------------------------- exchange


class Exchange:
    """Rates into the reporting currency: the latest on or before a day."""

    def __init__(self, rates: Iterable[FxRate], currency: str) -> None:
        self.currency = currency
        self._days: dict[str, list[date]] = defaultdict(list)
        self._rates: dict[str, list[Decimal]] = defaultdict(list)
        for rate in sorted(rates, key=lambda r: r.rate_date):
            self._days[rate.currency].append(rate.rate_date)
            self._rates[rate.currency].append(rate.rate)

    def rate(self, currency: str, day: date) -> Decimal:
        """Units of reporting currency for one unit."""
        if currency == self.currency:
            return Decimal(1)
        place = bisect_right(self._days[currency], day)
        if not place:
            raise LookupError(f"no rate for {currency} on or before {day}")
        return self._rates[currency][place - 1]

    def convert(self, amount: Decimal, currency: str, day: date) -> Decimal:
        """An amount in reporting currency."""
        return cents(amount * self.rate(currency, day))


def last_day_before(when: datetime) -> date:
    """The day of the last instant before `when`."""
    return (when - timedelta(microseconds=1)).date()
