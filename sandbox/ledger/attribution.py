"""What each touch earned of the pipeline created and of the revenue won, by four models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from sandbox.ledger.arithmetic import ZERO, Exchange, last_day_before
from sandbox.ledger.funnel import Funnel, lead_dates
from sandbox.world import Deal

MODELS = ("first_touch", "last_touch", "linear", "position_based")
#: Deal, pipeline or revenue, channel, campaign.
Credit = tuple[str, str, str, str | None]


@dataclass(frozen=True)
class Touch:
    """Something that brought a prospect nearer."""

    at: datetime
    channel: str
    campaign: str | None

    @property
    def place(self) -> tuple[datetime, str, str]:
        """Where it comes among others; of one instant by name, those without a campaign last."""
        return self.at, self.channel, self.campaign or "~"


def attribution(funnel: Funnel, exchange: Exchange) -> dict[Credit, dict[str, Decimal]]:
    """Credit of each model to each channel and campaign for each deal; else to `untouched`."""
    touches: dict[tuple[str, int], list[Touch]] = defaultdict(list)
    for prospect, touch in _touches(funnel):
        touches[prospect, funnel.cycle(prospect, touch.at)].append(touch)
    found: dict[Credit, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(MODELS, ZERO))
    outcomes = {stage.id: stage.outcome for stage in funnel.world.crm.stages}
    for deal in funnel.world.crm.deals:
        if deal.archived_at is not None:
            continue
        prospect = funnel.identities.companies[deal.company_id or ""]
        its = touches[prospect, funnel.cycle(prospect, deal.created_at)]
        sales = {"pipeline": deal.created_at}
        if outcomes[deal.stage] == "won" and deal.closed_at is not None:
            sales["revenue"] = deal.closed_at
        for measure, at in sales.items():
            before = sorted(_with_own(deal, its, at), key=lambda t: t.place)
            amount = _amount(deal, exchange, funnel.world.now)
            for model in MODELS:
                parts = shared(amount, weights(model, len(before)))
                for touch, part in zip(before, parts, strict=True):
                    found[deal.id, measure, touch.channel, touch.campaign][model] += part
                if not before:
                    found[deal.id, measure, "untouched", None][model] += amount
    return dict(found)


def _touches(funnel: Funnel) -> Iterator[tuple[str, Touch]]:
    """Messages somebody engaged with, once in each cycle, and becoming a lead."""
    seen = set()
    for event in sorted(funnel.world.email.events, key=lambda e: e.occurred_at):
        if event.is_machine or event.event_type not in ("open", "click", "reply"):
            continue
        prospect = funnel.identities.recipients[event.recipient_id]
        message = (
            *(prospect, funnel.cycle(prospect, event.occurred_at)),
            *(event.recipient_id, event.message_id),
        )
        if message not in seen:
            seen.add(message)
            yield prospect, Touch(event.occurred_at, "email", event.campaign_id)
    for contact in funnel.world.crm.contacts:
        became = lead_dates(contact).get("lead")
        if contact.archived_at is None and became is not None and contact.lead_source:
            prospect = funnel.identities.contacts[contact.id]
            yield prospect, Touch(became, contact.lead_source, contact.campaign_id)


def _with_own(deal: Deal, touches: list[Touch], until: datetime) -> list[Touch]:
    """The touches until a moment, and the deal's own source where they don't have it."""
    before = [touch for touch in touches if touch.at <= until]
    if deal.lead_source and deal.lead_source not in {touch.channel for touch in before}:
        before.append(Touch(deal.created_at, deal.lead_source, deal.campaign_id))
    return before


def _amount(deal: Deal, exchange: Exchange, now: datetime) -> Decimal:
    if deal.amount is None:
        return ZERO
    day = deal.closed_at.date() if deal.closed_at else last_day_before(now)
    return exchange.convert(deal.amount, deal.currency, day)


def weights(model: str, count: int) -> list[Fraction]:
    """Shares of so many touches, which add up to 1."""
    if model == "first_touch":
        return [Fraction(int(place == 0)) for place in range(count)]
    if model == "last_touch":
        return [Fraction(int(place == count - 1)) for place in range(count)]
    if model == "linear" or count < 3:
        return [Fraction(1, count)] * count
    between = Fraction(1, 5 * (count - 2))
    return [Fraction(2, 5), *[between] * (count - 2), Fraction(2, 5)]


def shared(amount: Decimal, parts: list[Fraction]) -> list[Decimal]:
    """An amount shared out in cents; what rounding down leaves goes to the largest remainders, first come."""
    exact = [Fraction(amount) * 100 * part for part in parts]
    cents = [int(part) for part in exact]
    left = int(Fraction(amount) * 100) - sum(cents)
    for place in sorted(range(len(parts)), key=lambda p: (cents[p] - exact[p], p))[:left]:
        cents[place] += 1
    return [Decimal(part).scaleb(-2) for part in cents]
