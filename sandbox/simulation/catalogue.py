"""The price list: plans, add-ons and the onboarding fee in three currencies and three intervals."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from sandbox.world import Price, Product

#: Product -> unit price per month in US dollars.
MONTHLY = {
    "starter": 29,
    "growth": 49,
    "scale": 79,
    "enterprise": 109,
    "analytics": 150,
    "support": 220,
}
PLANS = ("starter", "growth", "scale", "enterprise")
ADD_ONS = ("analytics", "support")
NAMES = {
    "starter": "Starter",
    "growth": "Growth",
    "scale": "Scale",
    "enterprise": "Enterprise",
    "analytics": "Analytics add-on",
    "support": "Premium support add-on",
    "onboarding": "Onboarding",
}
#: Our interval -> vendor interval, count, months, price in months (longer terms cost less).
INTERVALS = {
    "month": ("month", 1, 1, Decimal(1)),
    "quarter": ("month", 3, 3, Decimal("2.9")),
    "year": ("year", 1, 12, Decimal(11)),
}
LEVEL = {"USD": Decimal(1), "EUR": Decimal("0.93"), "GBP": Decimal("0.81")}


def price_id(product: str, currency: str, interval: str | None) -> str:
    """Id of a list price."""
    return f"price_{product}_{currency.lower()}_{interval or 'once'}"


class Catalogue:
    """Products and prices by id."""

    def __init__(self, created_at: datetime) -> None:
        self.products = [Product(f"prod_{key}", name, created_at) for key, name in NAMES.items()]
        self.prices: dict[str, Price] = {}
        for currency, level in LEVEL.items():
            for product, dollars in MONTHLY.items():
                for key, (interval, count, _, factor) in INTERVALS.items():
                    amount = (dollars * level * factor).quantize(Decimal(1), ROUND_HALF_UP)
                    self._add(product, amount, currency, key, interval, count, created_at)
            once = (1500 * level).quantize(Decimal(1), ROUND_HALF_UP)
            self._add("onboarding", once, currency, None, None, None, created_at)

    def _add(
        self,
        product: str,
        amount: Decimal,
        currency: str,
        key: str | None,
        interval: str | None,
        count: int | None,
        created_at: datetime,
    ) -> None:
        name = price_id(product, currency, key)
        self.prices[name] = Price(
            name, f"prod_{product}", NAMES[product], amount, currency, interval, count, created_at
        )

    def price(self, product: str, currency: str, interval: str | None) -> Price:
        """A list price."""
        return self.prices[price_id(product, currency, interval)]

    def yearly(self, product: str, quantity: int, currency: str, interval: str) -> Decimal:
        """What an item costs in a year."""
        terms = 12 // INTERVALS[interval][2]
        return self.price(product, currency, interval).unit_amount * quantity * terms
