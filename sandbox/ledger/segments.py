"""What an account is in a month: who looks after it, where and how large it is, what it has bought."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import cache

from sandbox.ledger.arithmetic import at_midnight, next_month
from sandbox.ledger.mrr import Movement, Revenue
from sandbox.ledger.sales import Opportunity
from sandbox.world import Company, Owner

#: Largest number of employees -> name of the size.
SIZES = ((50, "1-50"), (250, "51-250"), (1000, "251-1000"))
SEGMENTS = ("team", "owner", "region", "country", "size", "plan", "product", "source")
Segments = dict[str, str | None]


class AccountSegments:
    """Answers for any account from its first month with MRR on."""

    def __init__(self, revenue: Revenue, movements: list[Movement], sold: list[Opportunity]) -> None:
        self.revenue, world = revenue, revenue.world
        self.owners: dict[str | None, Owner] = {owner.id: owner for owner in world.crm.owners}
        self.products = {product.id: product.name for product in world.billing.products}
        #: Account -> its first month.
        self.since: dict[str, date] = {}
        for row in movements:
            self.since[row.account] = min(row.month, self.since.get(row.account, row.month))
        self.companies: dict[str, list[Company]] = defaultdict(list)
        for company in sorted(world.crm.companies, key=lambda c: (c.created_at, c.id)):
            if company.archived_at is None:
                self.companies[revenue.identities.companies[company.id]].append(company)
        self.countries = {
            revenue.identities.customers[c.id]: c.country
            for c in sorted(world.billing.customers, key=lambda c: c.created_at, reverse=True)
        }
        self.won: dict[str, list[Opportunity]] = defaultdict(list)
        for deal in sold:
            if deal.outcome == "won" and deal.account is not None and deal.closed_at is not None:
                self.won[deal.account].append(deal)
        for deals in self.won.values():
            deals.sort(key=lambda d: (d.closed_at, d.id))
        self.of = cache(self._of)
        self._sold = cache(self._bought)

    def accounts(self, month: date) -> list[str]:
        """Those that have been customers by the end of a month."""
        return [account for account, since in self.since.items() if since <= month]

    def _of(self, account: str, month: date) -> Segments:
        sellers = [
            d
            for d in self.won[account]
            if d.owner_id and d.closed_at and d.closed_at < at_midnight(next_month(month))
        ]
        companies = self.companies[account]
        keeper = self.owners.get(next((c.owner_id for c in companies if c.owner_id), None))
        found: Segments = {"team": None, "owner": None, "region": None}
        if sellers:
            last = sellers[-1]
            found = {"team": last.team, "owner": last.owner_id, "region": self.owners[last.owner_id].region}
        elif keeper:
            found = {"team": keeper.team, "owner": keeper.id, "region": keeper.region}
        employees = next((c.employee_count for c in companies if c.employee_count is not None), None)
        size = None
        if employees is not None:
            size = next((name for most, name in SIZES if employees <= most), "1001+")
        country = next((c.country for c in companies if c.country), self.countries.get(account))
        source = next((d.source for d in self.won[account] if d.source), None)
        plan, product = self._sold(account, month)
        return {**found, "country": country, "size": size, "plan": plan, "product": product, "source": source}

    def _bought(self, account: str, month: date) -> tuple[str | None, str | None]:
        """The most valuable item of the most valuable subscription, as it last was."""
        t = min(at_midnight(next_month(month)), self.revenue.world.now)
        worths = [(self.revenue.of(s, t), s.id, s) for s in self.revenue.subscriptions[account]]
        worth, _, best = max(worths, key=lambda one: one[:2])
        if not worth:
            before = next_month(month, -1)
            return self._sold(account, before) if before >= self.since[account] else (None, None)
        items = [
            (price.unit_amount * item.quantity, item.item_id, price)
            for item in best.items
            if item.valid_from < t and (item.valid_to is None or item.valid_to >= t)
            for price in [self.revenue.prices[item.price_id]]
            if price.interval is not None
        ]
        _, _, price = max(items, key=lambda one: one[:2])
        return price.nickname, self.products[price.product_id]
