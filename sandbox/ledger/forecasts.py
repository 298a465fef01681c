"""What each quarter was forecast to bring, by three methods, and the interval of most outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import sqrt

from sandbox.ledger.arithmetic import ZERO, Period, at_midnight, cents, next_month, ratio
from sandbox.ledger.pipeline import Pipeline, Standing
from sandbox.ledger.sales import Opportunity, Sales, frozen_commit
from sandbox.ledger.visits import stage_visits

METHODS = ("submitted", "weighted", "stage_conversion")
#: 90th percentile of Student's t by degrees of freedom.
STUDENT = {
    **{3: 1.638, 4: 1.533, 5: 1.476, 6: 1.440, 7: 1.415, 8: 1.397, 9: 1.383, 10: 1.372, 11: 1.363},
    **{12: 1.356, 13: 1.350, 14: 1.345, 15: 1.341, 16: 1.337, 17: 1.333, 18: 1.330, 19: 1.328},
}


@dataclass(frozen=True)
class QuarterForecast:
    """One method's forecast of one quarter, made some days before it began."""

    forecast: Decimal | None
    actual: Decimal | None
    bounds: tuple[float, float] | None


class Forecasts:
    """All quarters so far and the next."""

    def __init__(self, pipeline: Pipeline, sold: list[Opportunity], quarters: list[Period]) -> None:
        self.pipeline, self.sold, self.quarters = pipeline, sold, quarters
        self.now = pipeline.world.now
        self.following = quarters[-1].end

    @cached_property
    def rows(self) -> dict[tuple[date, str], QuarterForecast]:
        """Quarter and method -> what was forecast; the next one as of now."""
        early = (self.following - self.pipeline.last).days - 1
        found = {}
        for method in METHODS:
            for quarter in self.quarters:
                found[quarter.start, method] = self._row(quarter, method, 0)
            coming = Period("quarter", self.following, next_month(self.following, 3))
            found[coming.start, method] = self._row(coming, method, early)
        return found

    def _row(self, quarter: Period, method: str, lead: int) -> QuarterForecast:
        forecast = self._forecast(quarter, method, lead)
        made_on = quarter.start - timedelta(days=lead)
        misses = []
        for past in self.quarters:
            guess, actual = self._forecast(past, method, lead), self._actual(past)
            if past.end <= made_on and guess and actual is not None:
                misses.append(Fraction(actual - guess) / Fraction(guess))
        bounds = None
        if forecast and len(misses) >= 4:
            n = len(misses)
            mean = sum(misses) / n
            spread = sqrt(sum((miss - mean) ** 2 for miss in misses) / (n - 1) * (1 + Fraction(1, n)))
            reach = STUDENT.get(n - 1, 1.325) * spread
            middle = 1 + float(mean)
            bounds = (
                max(0.0, float(forecast) * (middle - reach)),
                max(0.0, float(forecast) * (middle + reach)),
            )
        return QuarterForecast(forecast, self._actual(quarter), bounds)

    def _actual(self, quarter: Period) -> Decimal | None:
        if at_midnight(quarter.end) > self.now:
            return None
        return Sales.of(o for o in self.sold if o.closed_at and quarter.holds(o.closed_at)).won_value

    def _forecast(self, quarter: Period, method: str, lead: int) -> Decimal | None:
        made_on = quarter.start - timedelta(days=lead)
        if method == "submitted":
            world = self.pipeline.world
            submitted = world.finance.forecasts
            return frozen_commit(submitted, quarter.start, self.pipeline.exchange, self.now, made_on)
        standing = {deal: days.get(made_on - timedelta(days=1)) for deal, days in self.pipeline.days.items()}
        due = [state for state in standing.values() if state is not None and state.due(quarter)]
        chances = [
            self.pipeline.stages[state.stage].probability
            if method == "weighted"
            else self._won_share(state, made_on)
            for state in due
        ]
        if not due or None in chances:
            return None
        return sum((cents((s.worth or ZERO) * c) for s, c in zip(due, chances, strict=True) if c), ZERO)

    def _won_share(self, state: Standing, day: date) -> Decimal | None:
        """Of the deals that had been in the stage and were closed by then, the share won."""
        stage = self.pipeline.stages[state.stage]
        passed = [
            o
            for o in self.sold
            if o.closed_at is not None
            and o.closed_at < at_midnight(day)
            and (stage.pipeline, stage.label) in self._been[o.id]
        ]
        return ratio(Fraction(sum(1 for o in passed if o.outcome == "won")), Fraction(len(passed)))

    @cached_property
    def _been(self) -> dict[str, set[tuple[str, str]]]:
        pipelines = {deal.id: deal.pipeline for deal in self.pipeline.world.crm.deals}
        visits = stage_visits(self.pipeline.world)
        return {deal: {(pipelines[deal], visit.label) for visit in its} for deal, its in visits.items()}
