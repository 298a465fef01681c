"""Opportunities, forecasts and spend as the ledger counts them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import (
    ZERO,
    Exchange,
    Period,
    at_midnight,
    last_day_before,
    median,
    next_month,
    quantile,
    ratio,
)
from sandbox.world import Forecast, World


@dataclass(frozen=True)
class Opportunity:
    """A deal that was not deleted."""

    id: str
    account: str | None
    outcome: str  # open | won | lost
    kind: str
    created_at: datetime
    closed_at: datetime | None
    amount: Decimal | None  # reporting currency, once closed
    team: str | None  # the owner's, in the quarter it closed
    subscription_id: str | None = None  # what it was billed as, where sales knows it
    owner_id: str | None = None
    source: str | None = None

    @property
    def cycle(self) -> int | None:
        """Calendar days from creation to close."""
        if self.closed_at is None:
            return None
        return (self.closed_at.astimezone(UTC).date() - self.created_at.astimezone(UTC).date()).days


def opportunities(world: World, companies: dict[str, str], exchange: Exchange) -> list[Opportunity]:
    """All deals but the deleted ones."""
    outcomes = {stage.id: stage.outcome for stage in world.crm.stages}
    teams = {(q.owner_id, q.period_start): q.team for q in world.finance.quotas}
    current = {owner.id: owner.team for owner in world.crm.owners}
    found = []
    for deal in world.crm.deals:
        if deal.archived_at is not None:
            continue
        closed, amount, team = deal.closed_at, None, None
        if closed is not None:
            quarter = date(closed.year, (closed.month - 1) // 3 * 3 + 1, 1)
            team = teams.get((deal.owner_id or "", quarter), current.get(deal.owner_id or ""))
            if deal.amount is not None:
                amount = exchange.convert(deal.amount, deal.currency, closed.date())
        found.append(
            Opportunity(
                *(deal.id, companies.get(deal.company_id or ""), outcomes[deal.stage], deal.deal_type),
                created_at=deal.created_at,
                closed_at=closed,
                amount=amount,
                team=team,
                subscription_id=deal.billing_subscription_id,
                owner_id=deal.owner_id,
                source=deal.lead_source,
            )
        )
    return found


@dataclass(frozen=True)
class Sales:
    """What closed in a period."""

    won: int
    lost: int
    won_value: Decimal
    lost_value: Decimal
    won_amounts: int  # won with an amount
    cycles: tuple[int, ...]

    @classmethod
    def of(cls, closed: Iterable[Opportunity]) -> Sales:
        """Count closed opportunities."""
        closed = list(closed)
        won = [o for o in closed if o.outcome == "won"]
        lost = [o for o in closed if o.outcome == "lost"]
        return cls(
            won=len(won),
            lost=len(lost),
            won_value=sum((o.amount for o in won if o.amount is not None), ZERO),
            lost_value=sum((o.amount for o in lost if o.amount is not None), ZERO),
            won_amounts=sum(1 for o in won if o.amount is not None),
            cycles=tuple(o.cycle for o in won if o.cycle is not None and o.cycle >= 0),
        )

    def rows(self) -> dict[str, tuple[Decimal | None, Decimal | None]]:
        """KPI -> numerator, denominator (a quantile has itself and 1)."""
        one = Decimal(1)
        days = Decimal(sum(self.cycles))
        return {
            "win_rate": (Decimal(self.won), Decimal(self.won + self.lost)),
            "win_rate_value": (self.won_value, self.won_value + self.lost_value),
            "won_revenue": (self.won_value, one),
            "sales_cycle_days": (median(self.cycles), one),
            "sales_cycle_days_mean": (days, Decimal(len(self.cycles))),
            "sales_cycle_days_p90": (quantile(self.cycles, Fraction(9, 10)), one),
        }

    def velocity(self, open_count: int) -> tuple[Decimal | None, Decimal | None]:
        """Worth of the pipeline a day: numerator, mean cycle."""
        if not self.won_amounts or not self.cycles:
            return None, None
        rate = Fraction(self.won, self.won + self.lost)
        mean = Fraction(self.won_value) / self.won_amounts
        return (
            ratio(open_count * rate * mean, Fraction(1)),
            ratio(Fraction(sum(self.cycles), len(self.cycles)), Fraction(1)),
        )


def open_at(found: Iterable[Opportunity], t: datetime) -> int:
    """Opportunities open just before an instant."""
    return sum(
        1 for o in found if o.created_at < t and (o.outcome == "open" or (o.closed_at and o.closed_at >= t))
    )


def frozen_commit(
    forecasts: Iterable[Forecast],
    quarter: date,
    exchange: Exchange,
    as_of: datetime,
    day: date | None = None,
) -> Decimal | None:
    """The reps' last commit forecasts of a day, the quarter's first if none is said; None without any."""
    last: dict[str, Forecast] = {}
    for forecast in forecasts:
        exact = forecast.period_start == quarter and forecast.period_end == next_month(quarter, 3)
        in_time = forecast.submitted_at < min(at_midnight(day or quarter) + timedelta(days=1), as_of)
        if forecast.category == "commit" and exact and in_time:
            known = last.get(forecast.owner_id)
            if known is None or known.submitted_at < forecast.submitted_at:
                last[forecast.owner_id] = forecast
    if not last:
        return None
    return sum((exchange.convert(f.amount, f.currency, f.submitted_at.date()) for f in last.values()), ZERO)


def acquisition_spend(world: World, period: Period, exchange: Exchange) -> Decimal:
    """Fully loaded acquisition spend of the period's months."""
    total = ZERO
    for spend in world.finance.spend:
        if spend.is_acquisition and period.start <= spend.month < period.end:
            day = min(next_month(spend.month) - timedelta(days=1), last_day_before(world.now))
            total += exchange.convert(spend.amount, spend.currency, day)
    return total
