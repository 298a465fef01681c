"""What finance keeps by hand: exchange rates, budget, quotas and the reps' forecasts."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.simulation.staff import at_time
from sandbox.simulation.timeline import DAY, midnight, months_between, next_quarter, quarter_of
from sandbox.world import Deal, Forecast, FxRate, Owner, Quota, Spend, World

#: Team, category, channel, dollars a month for a company of 300 accounts, acquisition?
BUDGET = (
    ("Americas", "salaries", None, 14000, True),
    ("Europe", "salaries", None, 11000, True),
    ("Enterprise", "salaries", None, 9000, True),
    ("Marketing", "advertising", "inbound", 6500, True),
    ("Marketing", "events", "event", 3200, True),
    ("Marketing", "tools", "outbound", 1400, True),
    ("Marketing", "commissions", "referral", 900, True),
    ("Customer Success", "salaries", None, 9500, False),
    ("Customer Success", "support", None, 3000, False),
)
#: Role -> dollars a quarter for a company of 300 accounts.
QUOTA = {"ae": 62000, "csm": 70000}
LIKELY = {
    "qualification": 0.1,
    "discovery": 0.2,
    "demo": 0.35,
    "proposal": 0.55,
    "negotiation": 0.75,
    "renewal_open": 0.8,
    "renewal_quote": 0.9,
}


def fill_finance(world: World) -> None:
    """Write all finance records up to `now`."""
    _rates(world)
    _spend(world)
    _quotas(world)
    _forecasts(world)


def _whole(amount: float, to: int = 100) -> Decimal:
    return (Decimal(str(round(amount, 4))) / to).quantize(Decimal(1), ROUND_HALF_UP) * to


def _rates(world: World) -> None:
    level = {"EUR": 1.08, "GBP": 1.27}
    mean = dict(level)
    chance = {currency: random.Random(f"{world.seed}:fx:{currency}") for currency in level}
    day = world.start.date()
    while midnight(day) < world.now:
        for currency, rng in chance.items():
            level[currency] += (mean[currency] - level[currency]) * 0.01 + rng.gauss(0, 0.004)
            rate = Decimal(str(round(level[currency], 8))).quantize(Decimal("0.000001"), ROUND_HALF_UP)
            world.finance.fx_rates.append(FxRate(day, currency, rate))
        day += DAY


def _spend(world: World) -> None:
    for month in months_between(world.start.date(), world.now):
        rng = random.Random(f"{world.seed}:spend:{month}")
        for place, (team, category, channel, dollars, acquires) in enumerate(BUDGET):
            amount = _whole(dollars * world.size / 300 * rng.uniform(0.85, 1.2), 10)
            key = f"sp-{month:%Y%m}-{place + 1:02d}"
            world.finance.spend.append(
                Spend(key, month, team, category, channel, amount, world.currency, acquires)
            )


def _sellers(world: World) -> list[Owner]:
    return [owner for owner in world.crm.owners if owner.role in QUOTA]


def _quarters(world: World, ahead: timedelta = timedelta(0)) -> list[date]:
    found, quarter = [], quarter_of(world.start)
    while midnight(quarter) < world.now + ahead:
        found.append(quarter)
        quarter = next_quarter(quarter)
    return found


def _quotas(world: World) -> None:
    for number, quarter in enumerate(_quarters(world)):
        for owner in _sellers(world):
            rng = random.Random(f"{world.seed}:quota:{owner.id}:{quarter}")
            amount = _whole(
                QUOTA[owner.role] * world.size / 300 * (0.6 + 0.06 * number) * rng.uniform(0.9, 1.1)
            )
            team = at_time(owner, "team", midnight(quarter))
            world.finance.quotas.append(
                Quota(
                    *(f"q-{quarter:%Y%m}-{owner.id}", owner.id, team, quarter, next_quarter(quarter)),
                    amount,
                    world.currency,
                )
            )


def _was(deal: Deal, field: str, when: datetime) -> Any:
    value = None
    for since, later in deal.history.get(field, []):
        if since > when:
            break
        value = later
    return value


def _forecasts(world: World) -> None:
    """Every rep, every Monday, from two weeks before a quarter to its end."""
    deals: dict[str, list[Deal]] = defaultdict(list)
    for deal in world.crm.deals:
        for owner in {value for _, value in deal.history["owner_id"]}:
            deals[owner].append(deal)
    level = {r.currency: float(r.rate) for r in world.finance.fx_rates[:2]} | {world.currency: 1.0}
    for quarter in _quarters(world, timedelta(days=16)):
        end = next_quarter(quarter)
        monday = quarter - timedelta(days=14 + quarter.weekday())
        while monday < end:
            day, monday = monday, monday + timedelta(days=7)
            for owner in _sellers(world):
                rng = random.Random(f"{world.seed}:forecast:{owner.id}:{quarter}:{day}")
                at = midnight(day) + timedelta(
                    hours=9, minutes=rng.randint(0, 59), seconds=rng.randint(1, 59)
                )
                if world.start <= at < world.now:
                    _submit(world, owner, deals[owner.id], (quarter, end), at, rng, level)


def _submit(
    world: World,
    owner: Owner,
    deals: list[Deal],
    period: tuple[date, date],
    at: datetime,
    rng: random.Random,
    level: dict[str, float],
) -> None:
    quarter, end = midnight(period[0]), midnight(period[1])
    won = open_now = likely = past = 0.0
    for deal in deals:
        stage = _was(deal, "stage", at)
        if stage is None or _was(deal, "owner_id", at) != owner.id:
            continue
        worth = float(_was(deal, "amount", at) or 0) * level[deal.currency]
        if stage in ("closedwon", "renewal_won"):
            since = deal.history["stage"][-1][0]
            won += worth if since >= quarter else 0
            past += worth if at - timedelta(days=180) <= since < at else 0
        elif stage in LIKELY and _was(deal, "close_date", at) < period[1]:
            open_now += worth
            likely += worth * LIKELY[stage]
    left = max(0.0, (end - max(at, quarter)).days / 91)
    known = min(180.0, (at - world.start).days + 1.0)
    usual = past / max(known, 45.0) * 91
    commit = won + max(likely * 0.9, usual * left * rng.uniform(0.85, 1.1))
    best = commit * rng.uniform(1.1, 1.3)
    amounts = {"commit": commit, "best_case": best, "pipeline": max(best, won + open_now) * 1.2}
    for category, amount in amounts.items():
        world.finance.forecasts.append(
            Forecast(
                id=f"f-{period[0]:%Y%m}-{owner.id}-{at:%Y%m%d}-{category}",
                owner_id=owner.id,
                team=at_time(owner, "team", at),
                category=category,
                period_start=period[0],
                period_end=period[1],
                submitted_at=at,
                amount=_whole(amount),
                currency=world.currency,
            )
        )
