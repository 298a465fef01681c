"""How deals fare in the stages of the CRM, by quarter and team, and what of them is stuck there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import ZERO, Exchange, at_midnight, last_day_before, periods
from sandbox.ledger.sales import Opportunity
from sandbox.ledger.visits import Visit, stage_visits
from sandbox.world import Deal, World


@dataclass
class Bottleneck:
    """One stage and team in one quarter."""

    entered: int = 0
    advanced: int = 0
    exited: int = 0
    waiting: int = 0
    stuck: int = 0
    revenue_stuck: Decimal = ZERO
    stays: list[tuple[int, bool]] = field(default_factory=list)  # days, whether it is over

    @property
    def median(self) -> int | None:
        """Kaplan-Meier."""
        return kaplan_meier(self.stays)


def kaplan_meier(stays: Iterable[tuple[int, bool]]) -> int | None:
    """The day by which half have left, those still there counting as long as they have been there."""
    stays = sorted(stays)
    staying = Fraction(1)
    for day in sorted({days for days, _ in stays}):
        there = sum(1 for days, _ in stays if days >= day)
        leaving = sum(1 for days, over in stays if days == day and over)
        staying *= 1 - Fraction(leaving, there)
        if staying <= Fraction(1, 2):
            return day
    return None


def bottlenecks(
    world: World, exchange: Exchange, sold: list[Opportunity]
) -> dict[tuple[date, str, str], Bottleneck]:
    """Quarter, label of the stage, team -> what happened there."""
    deals = {deal.id: deal for deal in world.crm.deals}
    owners = {owner.id: owner.team for owner in world.crm.owners}
    teams = {o.id: o.team or owners[deals[o.id].owner_id or ""] for o in sold}
    visits = [v for deal, its in stage_visits(world).items() if deal in teams for v in its]
    seen: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for visit in visits:
        if not visit.imputed:
            seen[visit.label].append(_stay(visit, world.now))
    found: dict[tuple[date, str, str], Bottleneck] = defaultdict(Bottleneck)
    for quarter in (p for p in periods(world.start.date(), world.now) if p.kind == "quarter"):
        end = min(at_midnight(quarter.end), world.now)
        last = last_day_before(end)
        for visit in visits:
            key = (quarter.start, visit.label, teams[visit.deal_id])
            if quarter.holds(visit.entered_at):
                row = found[key]
                row.entered += 1
                row.advanced += visit.exit == "advanced"
                row.exited += visit.exit in ("lost", "back")
                if not visit.imputed:
                    row.stays.append(_stay(visit, world.now))
            if visit.entered_at < end and (visit.left_at is None or visit.left_at >= end):
                row = found[key]
                row.waiting += 1
                usual = kaplan_meier(seen[visit.label])
                if usual is None:
                    over = sorted(days for days, left in seen[visit.label] if left)
                    usual = over[(len(over) - 1) // 2]
                if (last - visit.entered_at.date()).days > usual:
                    row.stuck += 1
                    row.revenue_stuck += _worth(deals[visit.deal_id], last, end, exchange)
    return dict(found)


def _stay(visit: Visit, now: datetime) -> tuple[int, bool]:
    until = visit.left_at or now
    return (until.date() - visit.entered_at.date()).days, visit.left_at is not None


def _worth(deal: Deal, day: date, before: datetime, exchange: Exchange) -> Decimal:
    """The amount as it was at the end of a day."""
    amounts = [amount for since, amount in deal.history.get("amount", []) if since < before]
    if not amounts or amounts[-1] is None:
        return ZERO
    return exchange.convert(amounts[-1], deal.currency, day)
