"""The open pipeline as it stood on any day, and how each period's part of it came and went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.ledger.arithmetic import ZERO, Exchange, Period, at_midnight, cents, last_day_before, next_month
from sandbox.world import Deal, World

DAY = timedelta(days=1)
Flow = dict[str, Decimal]  # movement -> amount
Segment = tuple[str, str]  # all | team | owner, and which one
EVERYTHING: Segment = ("all", "all")


@dataclass(frozen=True)
class Standing:
    """A deal at the end of a day."""

    outcome: str
    stage: str
    local: Decimal | None
    worth: Decimal | None
    close_date: date | None
    owner: str
    team: str

    def due(self, period: Period) -> bool:
        """Open, and to close in the period."""
        soon = self.close_date is not None and period.start <= self.close_date < period.end
        return self.outcome == "open" and soon


@dataclass
class Due:
    """What was to close in a period when it began."""

    count: int = 0
    value: Decimal = ZERO
    slipped: int = 0
    slipped_value: Decimal = ZERO


class Pipeline:
    """Every day of every deal that was not deleted."""

    def __init__(self, world: World, exchange: Exchange) -> None:
        self.world, self.exchange = world, exchange
        self.stages = {stage.id: stage for stage in world.crm.stages}
        self.quota_teams = {(q.owner_id, q.period_start): q.team for q in world.finance.quotas}
        self.owner_teams = {owner.id: owner.team for owner in world.crm.owners}
        self.last = last_day_before(world.now)
        self.days = {d.id: self._days(d) for d in world.crm.deals if d.archived_at is None}
        self.currencies = {deal.id: deal.currency for deal in world.crm.deals}

    def _days(self, deal: Deal) -> dict[date, Standing]:
        found, day = {}, deal.created_at.date()
        while day <= min(deal.closed_at.date() if deal.closed_at else self.last, self.last):
            found[day] = self._standing(deal, day)
            day += DAY
        return found

    def _standing(self, deal: Deal, day: date) -> Standing:
        end = min(at_midnight(day + DAY), self.world.now)

        def was(field: str) -> Any:
            known: list[tuple[datetime, Any]] = deal.history.get(field, [])
            return next((value for since, value in reversed(known) if since < end), None)

        stage, local, owner = was("stage"), was("amount"), was("owner_id") or "(none)"
        quarter = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        team = self.quota_teams.get((owner, quarter), self.owner_teams.get(owner, "(none)"))
        worth = None if local is None else self.exchange.convert(local, deal.currency, day)
        outcome = self.stages[stage].outcome
        return Standing(outcome, stage, local, worth, was("close_date"), owner, team)

    def weighted(self, period: Period) -> dict[Segment, Decimal]:
        """Amount x probability of what is open at the period's end."""
        found: dict[Segment, Decimal] = defaultdict(lambda: ZERO)
        day = min(period.end - DAY, self.last)
        for days in self.days.values():
            state = days.get(day)
            if state is not None and state.outcome == "open":
                expected = cents((state.worth or ZERO) * self.stages[state.stage].probability)
                for segment in _segments(state):
                    found[segment] += expected
        return found

    def due(self, period: Period) -> dict[Segment, Due]:
        """What was open as the period began and was to close in it; how much of it did not."""
        found: dict[Segment, Due] = defaultdict(Due)
        final = min(period.end - DAY, self.last)
        for days in self.days.values():
            state = days.get(period.start - DAY)
            if state is None or not state.due(period):
                continue
            at_end = days.get(final)
            slipped = (
                at_end is not None
                and at_end.outcome == "open"
                and (period.end - DAY <= self.last or not at_end.due(period))
            )
            for segment in _segments(state):
                row, worth = found[segment], state.worth or ZERO
                row.count += 1
                row.value += worth
                row.slipped += slipped
                row.slipped_value += worth if slipped else ZERO
        return found

    def quotas(self, period: Period) -> dict[Segment, Decimal]:
        """What is to be sold: a third of a quarter's quota in each of its months, to the cent."""
        found: dict[Segment, Decimal] = defaultdict(lambda: ZERO)
        for quota in self.world.finance.quotas:
            for number in range(3):
                if not period.start <= next_month(quota.period_start, number) < period.end:
                    continue
                parts = [int(quota.amount * 100) * place // 3 for place in (number, number + 1)]
                part = Decimal(parts[1] - parts[0]).scaleb(-2)
                for segment in (EVERYTHING, ("team", quota.team), ("owner", quota.owner_id)):
                    found[segment] += part
        return found

    def waterfall(self, period: Period) -> dict[Segment, Flow]:
        """Opening, every movement and closing of the pipeline that is to close in a period."""
        found: dict[Segment, Flow] = defaultdict(lambda: defaultdict(lambda: ZERO))
        for deal, days in self.days.items():
            for day, state in days.items():
                if period.start <= day < period.end:
                    former = days.get(day - DAY)
                    for segment, movement, amount in self._moves(deal, day, former, state, period):
                        found[segment][movement] += amount
        return found

    def _moves(
        self, deal: str, day: date, former: Standing | None, now: Standing, period: Period
    ) -> Iterator[tuple[Segment, str, Decimal]]:
        moves: list[tuple[Standing, str, Decimal]] = []
        worth, was_due = now.worth or ZERO, former is not None and former.due(period)
        if former is not None and was_due:
            before = former.worth or ZERO
            if day == period.start:
                moves.append((former, "opening", before))
            if (former.owner, former.team) != (now.owner, now.team):
                moves += [(former, "transferred", -before), (now, "transferred", before)]
            today = self.exchange.convert(former.local or ZERO, self.currencies[deal], day)
            moves.append((now, "fx", today - before))
            moves.append((now, "amount_up" if worth > today else "amount_down", worth - today))
        elif now.due(period) or now.outcome != "open":
            moves.append((now, "new" if former is None else "pulled_in", worth))
        if now.outcome != "open":
            moves.append((now, now.outcome, -worth))
        elif was_due and not now.due(period):
            moves.append((now, "pushed_out", -worth))
        elif now.due(period) and day == min(period.end - DAY, self.last):
            moves.append((now, "closing", worth))
        for state, movement, amount in moves:
            for segment in _segments(state):
                yield segment, movement, amount


def _segments(state: Standing) -> tuple[Segment, ...]:
    return EVERYTHING, ("team", state.team), ("owner", state.owner)
