"""Time: a queue of things to come, and calendar arithmetic."""

from __future__ import annotations

import calendar
import heapq
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

DAY = timedelta(days=1)


class Timeline:
    """Runs scheduled actions in time order and stops at `now`.

    All chance is drawn inside the actions, so that what happened before any instant is the same
    however far the clock goes on.
    """

    def __init__(self, rng: random.Random, now: datetime) -> None:
        self.rng = rng
        self.now = now
        self.t = datetime.min.replace(tzinfo=UTC)
        self._heap: list[tuple[datetime, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, when: datetime, do: Callable[..., None], *args: Any) -> None:
        """Do something at an instant (at once, if it is past)."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.t), self._count, do, args))

    def after(self, low: float, high: float, do: Callable[..., None], *args: Any) -> None:
        """Do something between `low` and `high` days from the present."""
        self.at(self.soon(low, high), do, *args)

    def soon(self, low: float, high: float) -> datetime:
        """An instant in whole seconds between `low` and `high` days from the present."""
        return self.t + timedelta(seconds=int(self.rng.uniform(low, high) * 86400))

    def workday(self, low: float, high: float) -> datetime:
        """Like `soon`, in office hours of a weekday."""
        return office(self.soon(low, high), self.rng)

    def run(self) -> None:
        """Live until `now` (exclusive)."""
        while self._heap and self._heap[0][0] < self.now:
            self.t, _, do, args = heapq.heappop(self._heap)
            do(*args)


def office(when: datetime, rng: random.Random) -> datetime:
    """The same day (Monday instead of a weekend), between 8 and 18 o'clock."""
    day = when + timedelta(days={5: 2, 6: 1}.get(when.weekday(), 0))
    return day.replace(hour=rng.randint(8, 17), minute=rng.randint(0, 59), second=rng.randint(1, 59))


def add_months(when: datetime, months: int) -> datetime:
    """The same day and time some months later; the month's last day where it is shorter."""
    year, month = divmod(when.year * 12 + when.month - 1 + months, 12)
    day = min(when.day, calendar.monthrange(year, month + 1)[1])
    return when.replace(year=year, month=month + 1, day=day)


def midnight(day: date) -> datetime:
    """The first instant of a day, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def quarter_of(when: datetime) -> date:
    """First day of the calendar quarter."""
    return date(when.year, (when.month - 1) // 3 * 3 + 1, 1)


def next_quarter(day: date) -> date:
    """First day of the quarter after the one that starts on `day`."""
    return date(day.year + day.month // 10, (day.month + 2) % 12 + 1, 1)


def months_between(first: date, before: datetime) -> list[date]:
    """First days of the months from `first`'s to the one of the last instant before `before`."""
    found, month = [], first.replace(day=1)
    while midnight(month) < before:
        found.append(month)
        month = add_months(midnight(month), 1).date()
    return found
