"""The KPIs by period, out of the ledger's own movements, opportunities and renewals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import ZERO, Period, at_midnight, periods, ratio
from sandbox.ledger.billing import Billing
from sandbox.ledger.billing_kpis import BillingKpis
from sandbox.ledger.customers import brief_stays
from sandbox.ledger.leads import lead_rows, leads
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.ledger.pipeline import EVERYTHING, Pipeline, Segment
from sandbox.ledger.renewals import Renewal
from sandbox.ledger.sales import Opportunity, Sales, acquisition_spend, frozen_commit, open_at
from sandbox.ledger.segments import SEGMENTS, AccountSegments
from sandbox.ledger.stages import Stages

CHURN_MONTHS = 6
Pair = tuple[Decimal | None, Decimal | None]
#: A segment and its value; None for the whole company.
Kind = tuple[str, str] | None


@dataclass(frozen=True)
class KpiRow:
    """One KPI in one period and segment."""

    kpi: str
    period: str
    period_start: date
    segment: str  # all, stage, or one of SEGMENTS
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
        billing: Billing,
        segments: AccountSegments,
        pipeline: Pipeline,
    ) -> None:
        world, self.sold, self.due = revenue.world, sold, due
        self.world, self.exchange, self.policies = world, revenue.exchange, revenue.policies
        self.segments = segments
        self.billing = BillingKpis(billing, self.policies.gross_margin)
        self.pipeline, self.stages, self.leads = pipeline, Stages(world, sold), leads(world)
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
        revenue = self._revenue(period)
        everything |= self._forecast(period) | revenue
        everything |= self._renewals([r for r in self.due if period.holds(r.due_at)])
        everything |= self.billing.rows(period, revenue["mrr"][0] or ZERO) | self._magic(period)
        everything["cac"] = self._cac(period)
        everything["intra_period_churn"] = (
            Decimal(sum(self.brief[month] for month in self._months(period))),
            Decimal(1),
        )
        yield from self.stages.rows(period)
        yield from lead_rows(self.leads, period)
        by_segment = self._pipeline(period)
        yield "all", "all", everything | by_segment.pop(EVERYTHING)
        for (segment, value), pairs in by_segment.items():
            if segment == "team":
                yield segment, value, pairs
        for team in sorted({o.team for o in closed if o.team}):
            yield "team", team, dict(Sales.of(o for o in closed if o.team == team).rows())
        for segment in SEGMENTS:
            yield from self._of_segment(period, segment)

    def _of_segment(self, period: Period, segment: str) -> Iterator[tuple[str, str, dict[str, Pair]]]:
        """Revenue of the accounts that are something at the end of a period; renewals by their due month."""
        of, closing = self.segments.of, self._months(period)[-1]
        for value in {of(account, closing)[segment] for account in self.segments.accounts(closing)}:
            if value is not None:
                yield segment, value, self._revenue(period, (segment, value))
        terms: dict[str | None, list[Renewal]] = defaultdict(list)
        for term in self.due:
            if period.holds(term.due_at):
                terms[of(term.account, term.due_at.date().replace(day=1))[segment]].append(term)
        for name, due in terms.items():
            if name is not None:
                yield segment, name, self._renewals(due)

    def _forecast(self, period: Period) -> dict[str, Pair]:
        """Nothing for months: reps forecast quarters."""
        if period.kind == "month":
            return {}
        right = actual = missed = error = ZERO
        shares: list[Fraction] = []
        judged = 0
        for quarter in self.quarters:
            if period.kind != "all" and not period.start <= quarter.start < period.end:
                continue
            frozen = frozen_commit(self.world.finance.forecasts, quarter.start, self.exchange, self.world.now)
            if frozen is None:
                continue
            judged += 1
            won = Sales.of(o for o in self.sold if o.closed_at and quarter.holds(o.closed_at)).won_value
            right += max(ZERO, won - abs(frozen - won))
            actual += won
            missed += abs(frozen - won)
            error += frozen - won
            if won:
                shares.append(Fraction(ratio(abs(frozen - won), won) or 0))
        found: dict[str, Pair] = {"forecast_accuracy": (right, actual)} if judged else {}
        if period.kind != "quarter" and judged >= 4:
            found["forecast_wape"] = (missed, actual)
            found["forecast_mape"] = (ratio(sum(shares, Fraction(0)), Fraction(1)), Decimal(len(shares)))
            found["forecast_bias"] = (error, actual)
        return found

    def _pipeline(self, period: Period) -> dict[Segment, dict[str, Pair]]:
        """What is open at the end; of months and quarters also what was to close in them as they began."""
        weighted = self.pipeline.weighted(period)
        if period.kind not in ("month", "quarter"):
            return {
                key: {"weighted_pipeline": (weighted[key], Decimal(1))} for key in {EVERYTHING, *weighted}
            }
        due, quotas = self.pipeline.due(period), self.pipeline.quotas(period)
        return {
            key: {
                "weighted_pipeline": (weighted[key], Decimal(1)),
                "pipeline_coverage": (due[key].value, quotas[key]),
                "slippage_rate": (Decimal(due[key].slipped), Decimal(due[key].count)),
                "slippage_rate_value": (due[key].slipped_value, due[key].value),
            }
            for key in {EVERYTHING, *weighted, *due, *quotas}
        }

    def _months(self, period: Period) -> list[date]:
        return [m for m in period.months() if at_midnight(m) < self.world.now]

    def _rows(self, month: date, kind: Kind, when: date) -> list[Movement]:
        """A month's movements of the accounts that are of a kind in `when`."""
        if kind is None:
            return self.by_month[month]
        segment, value = kind
        return [row for row in self.by_month[month] if self.segments.of(row.account, when)[segment] == value]

    def _revenue(self, period: Period, kind: Kind = None) -> dict[str, Pair]:
        months = self._months(period)
        by_month = {month: self._rows(month, kind, months[-1]) for month in months}
        rows = [row for found in by_month.values() for row in found]

        def total(name: str) -> Decimal:
            return sum((getattr(row, name) for row in rows), ZERO)

        first = max(period.start, self.periods[0].start)
        start = by_month[first]
        opening = sum((row.opening for row in start), ZERO)
        opened = Decimal(sum(1 for row in start if row.opening > 0))
        ending = by_month[months[-1]]
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
            "logo_churn_rate": (churned, opened + (fresh if self._counts_new else 0)),
            "gross_mrr_churn_rate": (lost, opening),
            "net_mrr_churn_rate": (net, opening),
            "involuntary_churn_rate": (unpaid, opening),
            "expansion_rate": (total("expansion"), opening),
            "upsell_accounts": (grown, one),
            "mrr": (mrr, one),
            "arr": (mrr * 12, one),
            "arpa": (mrr, paying),
            "clv": self._lifetime_value(mrr, paying, months[-1], kind),
        }

    def _cac(self, period: Period) -> Pair:
        fresh = sum(1 for month in self._months(period) for row in self.by_month[month] if row.new > 0)
        return acquisition_spend(self.world, period, self.exchange), Decimal(fresh)

    def _magic(self, period: Period) -> dict[str, Pair]:
        """Of complete quarters with one before."""
        if period not in self.quarters or period == self.quarters[0]:
            return {}
        before = self.quarters[self.quarters.index(period) - 1]
        now, then = (
            sum((row.closing for month in one.months() for row in self.by_month[month]), ZERO)
            for one in (period, before)
        )
        return {"magic_number": (4 * (now - then), acquisition_spend(self.world, before, self.exchange))}

    def _lifetime_value(self, mrr: Decimal, paying: Decimal, month: date, kind: Kind) -> Pair:
        known = [p.start for p in self.periods if p.kind == "month" and p.start <= month][-CHURN_MONTHS:]
        rows = [row for one in known for row in self._rows(one, kind, one)]
        churned = Fraction(sum(1 for row in rows if row.churn < 0))
        could = sum(1 for row in rows if row.opening > 0 or (row.new > 0 and self._counts_new))
        rate = ratio(churned, Fraction(could))
        margin = self.policies.gross_margin if self.policies.clv_gross_margin else Decimal(1)
        worth = ratio(Fraction(mrr) * Fraction(margin), Fraction(paying))
        return worth, rate

    def _renewals(self, due: list[Renewal]) -> dict[str, Pair]:
        kept = sum(1 for r in due if r.amount_renewed > 0)
        worth = sum((r.amount_due for r in due), ZERO)
        return {
            "renewal_rate": (Decimal(kept), Decimal(len(due))),
            "renewal_rate_value": (sum((min(r.amount_renewed, r.amount_due) for r in due), ZERO), worth),
            "renewal_rate_net": (sum((r.amount_renewed for r in due), ZERO), worth),
        }
