"""The KPIs by period, out of the ledger's own movements, opportunities and renewals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import ZERO, Period, at_midnight, periods, ratio
from sandbox.ledger.customers import brief_stays
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.ledger.renewals import Renewal
from sandbox.ledger.sales import Opportunity, Sales, acquisition_spend, frozen_commit, open_at

CHURN_MONTHS = 6
Pair = tuple[Decimal | None, Decimal | None]


@dataclass(frozen=True)
class KpiRow:
    """One KPI in one period and segment."""

    kpi: str
    period: str
    period_start: date
    segment: str  # all | team
    segment_value: str
    numerator: Decimal | None
    denominator: Decimal | None
    value: Decimal | None


class Kpis:
    """Computes all rows of a world."""

    def __init__(
        self,
        revenue: Revenue,
        movements: list[Movement],
        sold: list[Opportunity],
        due: list[Renewal],
    ) -> None:
        world, self.sold, self.due = revenue.world, sold, due
        self.world, self.exchange, self.policies = world, revenue.exchange, revenue.policies
        self.by_month: dict[date, list[Movement]] = defaultdict(list)
        for row in movements:
            self.by_month[row.month].append(row)
        self.brief = brief_stays(revenue, movements)
        self.periods = periods(world.start.date(), world.now)
        self.quarters = [p for p in self.periods if p.kind == "quarter" and at_midnight(p.end) <= world.now]

    @property
    def _counts_new(self) -> bool:
        """Whether new customers are among those that could churn."""
        return self.policies.churn_denominator == "opening_and_new"

    def rows(self) -> list[KpiRow]:
        """Every KPI, period and segment."""
        found = []
        for period in self.periods:
            for segment, value, pairs in self._segments(period):
                for kpi, (numerator, denominator) in pairs.items():
                    shown = None
                    if numerator is not None and denominator is not None:
                        shown = ratio(numerator, denominator)
                    found.append(
                        KpiRow(
                            *(kpi, period.kind, period.start, segment, value),
                            numerator,
                            denominator,
                            shown,
                        )
                    )
        return found

    def _segments(self, period: Period) -> Iterator[tuple[str, str, dict[str, Pair]]]:
        closed = [o for o in self.sold if o.closed_at is not None and period.holds(o.closed_at)]
        everything: dict[str, Pair] = dict(Sales.of(closed).rows())
        end = min(at_midnight(period.end), self.world.now)
        everything["pipeline_velocity"] = Sales.of(closed).velocity(open_at(self.sold, end))
        everything |= self._forecast(period) | self._revenue(period) | self._renewals(period)
        yield "all", "all", everything
        for team in sorted({o.team for o in closed if o.team}):
            yield "team", team, dict(Sales.of(o for o in closed if o.team == team).rows())

    def _forecast(self, period: Period) -> dict[str, Pair]:
        """Nothing for months: reps forecast quarters."""
        if period.kind == "month":
            return {}
        right = actual = ZERO
        judged = False
        for quarter in self.quarters:
            if period.kind != "all" and not period.start <= quarter.start < period.end:
                continue
            frozen = frozen_commit(self.world.finance.forecasts, quarter.start, self.exchange, self.world.now)
            if frozen is None:
                continue
            judged = True
            won = Sales.of(o for o in self.sold if o.closed_at and quarter.holds(o.closed_at)).won_value
            right += max(ZERO, won - abs(frozen - won))
            actual += won
        return {"forecast_accuracy": (right, actual)} if judged else {}

    def _revenue(self, period: Period) -> dict[str, Pair]:
        months = [m for m in period.months() if at_midnight(m) < self.world.now]
        rows = [row for month in months for row in self.by_month[month]]

        def total(name: str) -> Decimal:
            return sum((getattr(row, name) for row in rows), ZERO)

        first = max(period.start, self.periods[0].start)
        start = self.by_month[first]
        opening = sum((row.opening for row in start), ZERO)
        opened = Decimal(sum(1 for row in start if row.opening > 0))
        ending = self.by_month[months[-1]]
        mrr = sum((row.closing for row in ending), ZERO)
        paying = Decimal(sum(1 for row in ending if row.closing > 0))
        lost = -(total("churn") + total("contraction"))
        unpaid = -sum((row.churn for row in rows if row.involuntary), ZERO)
        churned = Decimal(sum(1 for row in rows if row.churn < 0))
        fresh = Decimal(sum(1 for row in rows if row.new > 0))
        grown = Decimal(len({row.account for row in rows if row.expansion > 0}))
        one = Decimal(1)
        net = lost - total("expansion")
        if self.policies.net_churn_reactivation:
            net -= total("reactivation")
        return {
            "cac": (acquisition_spend(self.world, period, self.exchange), fresh),
            "logo_churn_rate": (churned, opened + (fresh if self._counts_new else 0)),
            "intra_period_churn": (Decimal(sum(self.brief[month] for month in months)), one),
            "gross_mrr_churn_rate": (lost, opening),
            "net_mrr_churn_rate": (net, opening),
            "involuntary_churn_rate": (unpaid, opening),
            "expansion_rate": (total("expansion"), opening),
            "upsell_accounts": (grown, one),
            "mrr": (mrr, one),
            "arr": (mrr * 12, one),
            "arpa": (mrr, paying),
            "clv": self._lifetime_value(mrr, paying, months[-1]),
        }

    def _lifetime_value(self, mrr: Decimal, paying: Decimal, month: date) -> Pair:
        known = [p.start for p in self.periods if p.kind == "month" and p.start <= month][-CHURN_MONTHS:]
        rows = [row for one in known for row in self.by_month[one]]
        churned = Fraction(sum(1 for row in rows if row.churn < 0))
        could = sum(1 for row in rows if row.opening > 0 or (row.new > 0 and self._counts_new))
        rate = ratio(churned, Fraction(could))
        margin = self.policies.gross_margin if self.policies.clv_gross_margin else Decimal(1)
        worth = ratio(Fraction(mrr) * Fraction(margin), Fraction(paying))
        return worth, rate

    def _renewals(self, period: Period) -> dict[str, Pair]:
        due = [r for r in self.due if period.holds(r.due_at)]
        kept = sum(1 for r in due if r.amount_renewed > 0)
        worth = sum((r.amount_due for r in due), ZERO)
        return {
            "renewal_rate": (Decimal(kept), Decimal(len(due))),
            "renewal_rate_value": (sum((min(r.amount_renewed, r.amount_due) for r in due), ZERO), worth),
            "renewal_rate_net": (sum((r.amount_renewed for r in due), ZERO), worth),
        }
