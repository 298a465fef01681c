"""How visits of the CRM's stages end, and how long they take, by the month they began in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from sandbox.ledger.arithmetic import Period, next_month
from sandbox.ledger.bottlenecks import kaplan_meier
from sandbox.ledger.sales import Opportunity
from sandbox.ledger.visits import Visit, stage_visits
from sandbox.world import World

Pair = tuple[Decimal | None, Decimal | None]


class Stages:
    """Every visit of a deal that was not deleted."""

    def __init__(self, world: World, sold: list[Opportunity]) -> None:
        self.now = world.now
        owners = {owner.id: owner.team for owner in world.crm.owners}
        current = {deal.id: owners[deal.owner_id or ""] for deal in world.crm.deals}
        self.teams = {o.id: o.team or current[o.id] for o in sold}
        self.visits = [v for deal, its in stage_visits(world).items() if deal in self.teams for v in its]
        over = defaultdict(list)
        for visit in self.visits:
            if visit.left_at is not None and not visit.imputed:
                over[visit.label].append(self._days(visit))
        # Nine of ten that are over were by then.
        self.age = {label: sorted(days)[-(-9 * len(days) // 10) - 1] for label, days in over.items()}

    def _days(self, visit: Visit) -> int:
        return ((visit.left_at or self.now).date() - visit.entered_at.date()).days

    def _is_matured(self, visit: Visit) -> bool:
        end = next_month(visit.entered_at.date().replace(day=1))
        return visit.label in self.age and end + timedelta(days=self.age[visit.label]) <= self.now.date()

    def rows(self, period: Period) -> Iterator[tuple[str, str, dict[str, Pair]]]:
        """Segment, which one, and its KPIs."""
        groups: dict[tuple[str, str], list[Visit]] = defaultdict(list)
        for visit in self.visits:
            if period.holds(visit.entered_at):
                for key in (("all", "all"), ("stage", visit.label), ("team", self.teams[visit.deal_id])):
                    groups[key].append(visit)
        for (segment, value), visits in groups.items():
            ends = [visit.exit for visit in visits if visit.exit and self._is_matured(visit)]
            advanced = ends.count("advanced")
            median = kaplan_meier((self._days(v), v.left_at is not None) for v in visits if not v.imputed)
            yield (
                *(segment, value),
                {
                    "stage_conversion": (Decimal(advanced), Decimal(len(ends))),
                    "stage_dwell_days": (None if median is None else Decimal(median), Decimal(1)),
                },
            )
