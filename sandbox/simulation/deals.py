"""Opportunities: stage moves, slips, changed amounts, wins and losses."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from sandbox.simulation.account import Account
from sandbox.simulation.staff import RENEWAL, SALES
from sandbox.simulation.timeline import midnight
from sandbox.world import Deal

CATEGORY = dict(zip(SALES, ("pipeline", "pipeline", "pipeline", "best_case", "commit"), strict=True)) | {
    "renewal_open": "best_case",
    "renewal_quote": "commit",
}
LOST_REASONS = ("price", "competitor", "no_decision", "missing_feature", "timing", "no_budget")


@dataclass
class Quote:
    """What is sold: (product, quantity) lines at an interval, and its worth a year."""

    lines: list[tuple[str, int]]
    interval: str
    yearly: Decimal


class Selling:
    """One deal on its way through a pipeline."""

    def __init__(
        self,
        account: Account,
        kind: str,
        quote: Quote,
        owner_id: str,
        on_won: Callable[[Selling], None],
        *,
        stage_days: float,
        loss: float,
        close_on: datetime | None = None,
        campaign_id: str | None = None,
        starts_at_stage: int = 0,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        rng, t = account.rng, account.t
        assert account.company is not None
        self.account, self.quote, self.on_won, self.on_lost = account, quote, on_won, on_lost
        self.stages = RENEWAL if kind == "renewal" else SALES
        self.place, self.loss, self.stage_days = starts_at_stage, loss, stage_days
        people = [p for p in account.people if p.contact is not None]
        first_guess = quote.yearly
        if kind != "renewal":
            first_guess = (quote.yearly * Decimal(rng.randint(75, 130)) / 100).quantize(
                Decimal(1), ROUND_HALF_UP
            )
        remaining = len(self.stages) - starts_at_stage
        expected = (close_on or t + timedelta(days=stage_days * remaining * rng.uniform(0.7, 1.1))).date()
        stage = self.stages[starts_at_stage]
        amount = None if rng.random() < 0.04 and kind == "new_business" else first_guess
        self.deal = Deal(
            id=account.next_id("deal", 2),
            name=f"{account.truth.name} - {kind.replace('_', ' ')}",
            company_id=account.company.id,
            contact_ids=[p.contact.id for p in people[:2] if p.contact],
            owner_id=owner_id,
            pipeline="renewals" if kind == "renewal" else "sales",
            stage=stage,
            amount=amount,
            currency=account.profile.currency,
            close_date=expected,
            deal_type=kind,
            product=quote.lines[0][0],
            lead_source=account.profile.source if kind == "new_business" else None,
            forecast_category=CATEGORY[stage],
            created_at=t,
            updated_at=t,
            campaign_id=campaign_id,
        )
        self.deal.history = {
            "stage": [(t, stage)],
            "close_date": [(t, expected)],
            "owner_id": [(t, owner_id)],
            "forecast_category": [(t, CATEGORY[stage])],
        }
        if amount is not None:
            self.deal.history["amount"] = [(t, amount)]
        account.world.crm.deals.append(self.deal)
        self._watch_close_date()
        if kind == "new_business" and rng.random() < 0.03:
            self._enter_twice()
        if close_on is None:
            self._wait()

    @property
    def is_open(self) -> bool:
        """Neither won nor lost."""
        return self.deal.closed_at is None

    def _enter_twice(self) -> None:
        twin = deepcopy(self.deal)
        twin.id = self.account.next_id("deal", 2)
        self.account.world.crm.deals.append(twin)

        def archive() -> None:
            self.account.put(twin, archived_at=self.account.t)

        self.account.line.after(0.5, 4, archive)

    def _wait(self) -> None:
        mean = self.stage_days
        dwell = min(self.account.rng.gammavariate(2, mean / 2), mean * 4)
        self.account.line.at(self.account.line.workday(dwell, dwell + 0.5), self.step)

    def _watch_close_date(self) -> None:
        if self.deal.close_date is not None:
            self.account.line.at(midnight(self.deal.close_date) + timedelta(hours=7), self._slip)

    def _slip(self) -> None:
        """An open deal whose close date has come is pushed out."""
        deal = self.deal
        if not self.is_open or deal.close_date is None or deal.close_date > self.account.t.date():
            return
        pushed = (self.account.t + timedelta(days=self.account.rng.randint(10, 45))).date()
        self.account.put(deal, close_date=pushed)
        self._watch_close_date()

    def step(self) -> None:
        """A stage ends: lost, on to the next (or over it), or won."""
        if not self.is_open:
            return
        rng, account = self.account.rng, self.account
        if rng.random() < self.loss:
            self.lose()
            return
        if self.place + 1 >= len(self.stages):
            self.win()
            return
        skip = rng.random() < 0.07 and self.place + 2 < len(self.stages)
        self.place += 2 if skip else 1
        stage = self.stages[self.place]
        account.put(self.deal, stage=stage, forecast_category=CATEGORY[stage])
        if rng.random() < 0.3 and self.deal.amount is not None:
            changed = (self.deal.amount * Decimal(rng.randint(80, 120)) / 100).quantize(
                Decimal(1), ROUND_HALF_UP
            )
            account.put(self.deal, amount=changed)
        if rng.random() < 0.04:
            role = "ae" if self.deal.deal_type == "new_business" else "csm"
            other = account.scene.staff.pick(role, account.profile.team, account.t, rng)
            account.put(self.deal, owner_id=other.id)
        for _ in range(rng.randint(1, 3)):
            account.line.at(account.line.workday(0.1, self.stage_days), self._touch)
        self._wait()

    def _touch(self) -> None:
        if self.is_open:
            rng = self.account.rng
            kind = rng.choices(("email", "call", "meeting", "note"), (5, 3, 2, 1))[0]
            person = next((p for p in self.account.people if p.contact), None)
            direction = "inbound" if rng.random() < 0.25 else "outbound"
            self.account.activity(kind, self.deal.owner_id, person, self.deal.id, direction)

    def win(self) -> None:
        """Close as won, at the agreed amount."""
        won = "renewal_won" if self.deal.pipeline == "renewals" else "closedwon"
        self._close(won, "closed", self.quote.yearly)
        self.on_won(self)

    def lose(self, reason: str | None = None) -> None:
        """Close as lost, with a reason."""
        lost = "renewal_lost" if self.deal.pipeline == "renewals" else "closedlost"
        self.deal.lost_reason = reason or self.account.rng.choice(LOST_REASONS)
        self._close(lost, "omitted", self.deal.amount)
        if self.on_lost is not None:
            self.on_lost()

    def _close(self, stage: str, category: str, amount: Decimal | None) -> None:
        t = self.account.t
        self.account.put(
            self.deal,
            stage=stage,
            forecast_category=category,
            amount=amount,
            close_date=t.date(),
            closed_at=t,
        )
