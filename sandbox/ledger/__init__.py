"""The truth about a world, in plain Python: nothing here is shared with the pipeline that is tested by it."""

from __future__ import annotations

from functools import cached_property

from sandbox.ledger.arithmetic import Exchange, periods
from sandbox.ledger.billing import Billing
from sandbox.ledger.deal_gaps import find_deal_gaps
from sandbox.ledger.forecasts import Forecasts
from sandbox.ledger.funnel import Funnel, Journey
from sandbox.ledger.gaps import Gap, find_gaps
from sandbox.ledger.identity import Identities
from sandbox.ledger.kpis import KpiRow, Kpis
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.ledger.pipeline import Pipeline
from sandbox.ledger.renewals import Renewal, renewals
from sandbox.ledger.sales import Opportunity, opportunities
from sandbox.ledger.segments import AccountSegments
from sandbox.world import World
from settings.config import Policies

__all__ = ["Gap", "Journey", "KpiRow", "Ledger", "Movement", "Opportunity", "Renewal"]


class Ledger:
    """Everything the marts must agree with, for one world at its clock and by these policies.

    Each answer is computed once.
    """

    def __init__(self, world: World, policies: Policies | None = None) -> None:
        self.world, self.policies = world, policies or Policies()
        self.exchange = Exchange(world.finance.fx_rates, world.currency)

    @cached_property
    def identities(self) -> Identities:
        """Silo ids -> true account; `.rows()` lists them."""
        return Identities(self.world.truth)

    @cached_property
    def revenue(self) -> Revenue:
        """MRR of any subscription or account at any instant."""
        return Revenue(self.world, self.identities, self.exchange, self.policies)

    @cached_property
    def mrr_movements(self) -> list[Movement]:
        """One row per account and month with MRR at its beginning or end."""
        return self.revenue.movements()

    @cached_property
    def opportunities(self) -> list[Opportunity]:
        """Deals that were not deleted, closed amounts in reporting currency."""
        return opportunities(self.world, self.identities.companies, self.exchange)

    @cached_property
    def pipeline(self) -> Pipeline:
        """The open pipeline of any day, and its waterfalls."""
        return Pipeline(self.world, self.exchange)

    @cached_property
    def forecasts(self) -> Forecasts:
        """What each quarter was forecast to bring."""
        known = periods(self.world.start.date(), self.world.now)
        quarters = [period for period in known if period.kind == "quarter"]
        return Forecasts(self.pipeline, self.opportunities, quarters)

    @cached_property
    def renewals(self) -> list[Renewal]:
        """Contracts that fell due."""
        return renewals(self.revenue)

    @cached_property
    def billing(self) -> Billing:
        """What invoices, payments and signed deals say."""
        return Billing(self.revenue, self.opportunities)

    @cached_property
    def funnel(self) -> Funnel:
        """Every journey, by prospect and cycle."""
        return Funnel(self.world, self.identities, self.revenue, self.mrr_movements, self.renewals)

    @cached_property
    def gaps(self) -> list[Gap]:
        """Open gaps at the clock, found by rule over the truth: planted ones that are due, and real ones."""
        return find_gaps(self.revenue, self.mrr_movements) + find_deal_gaps(self.revenue, self.funnel)

    def kpis(self) -> list[KpiRow]:
        """Rows by KPI, period and segment."""
        segments = AccountSegments(self.revenue, self.mrr_movements, self.opportunities)
        facts = (self.mrr_movements, self.opportunities, self.renewals, self.billing, segments, self.pipeline)
        return Kpis(self.revenue, *facts).rows()
