"""marts.process_audit against plain Python over the fictional company."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

import duckdb

from sandbox.ledger import Ledger
from sandbox.ledger.leads import LIMIT, leads
from sandbox.ledger.visits import stage_visits

BILLED_WITHIN = timedelta(days=30)
INSTANT = timedelta(microseconds=1)
#: Quarter, finding, detail, team.
Key = tuple[date, str, str, str]
Case = tuple[datetime, str, str, str | None, bool, Decimal | None]


def differences(marts: duckdb.DuckDBPyConnection, truth: Ledger) -> list[str]:
    """Skipped stages, late answers and late bills that the mart and the ledger count otherwise."""
    expected: dict[Key, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for at, finding, detail, team, is_found, money in cases(truth):
        sums = expected[date(at.year, (at.month - 1) // 3 * 3 + 1, 1), finding, detail, team or "(none)"]
        for place, value in enumerate(
            (Decimal(is_found), Decimal(1), money or Decimal(0) if is_found else Decimal(0))
        ):
            sums[place] += value
    rows = marts.execute(
        "select quarter, finding, detail, team, found, base, coalesce(money, 0) from marts.process_audit"
        " where finding in ('skipped_stage', 'late_response', 'late_billing')"
    ).fetchall()
    found = {row[:4]: list(row[4:]) for row in rows}
    wrong = [
        f"{key}: {shown}, not {expected.get(key)}"
        for key, shown in found.items()
        if shown != expected.get(key)
    ]
    return wrong + [f"{key} is missing" for key, sums in expected.items() if sums[0] and key not in found]


def cases(truth: Ledger) -> Iterator[Case]:
    """When, what, where, whose, whether it went wrong, and what it was worth."""
    current = {owner.id: owner.team for owner in truth.world.crm.owners}
    sold = {deal.id: deal for deal in truth.opportunities}
    amounts = {deal.id: deal.amount for deal in truth.opportunities}
    for deal in truth.world.crm.deals:
        if deal.id in sold and deal.closed_at is None and deal.amount is not None:
            amounts[deal.id] = truth.exchange.convert(
                deal.amount, deal.currency, (truth.world.now - INSTANT).date()
            )
    for deal_id, visits in stage_visits(truth.world).items():
        if (one := sold.get(deal_id)) is None:
            continue
        team = one.team or current.get(one.owner_id or "")
        for visit in visits:
            if not visit.imputed or visit.entered_at > one.created_at:
                yield visit.entered_at, "skipped_stage", visit.label, team, visit.imputed, amounts[deal_id]
    for lead in leads(truth.world):
        late = lead.waited > LIMIT
        if late or lead.answered:
            yield lead.created_at, "late_response", "lead to first response", lead.team, late, None
    yield from _bills(truth, current)


def _bills(truth: Ledger, current: dict[str, str]) -> Iterator[Case]:
    """A win counts once its account has a subscription that lasts beyond it, or once that is too late."""
    terms: dict[str | None, list[tuple[datetime, datetime | None]]] = defaultdict(list)
    for subscription in truth.world.billing.subscriptions:
        begins = max(subscription.started_at, subscription.trial_end or subscription.started_at)
        account = truth.identities.customers[subscription.customer_id]
        terms[account].append((begins, subscription.ended_at))
    for deal in truth.opportunities:
        if deal.outcome != "won" or deal.kind != "new_business" or deal.closed_at is None:
            continue
        since = [
            begins.date()
            for begins, ends in terms[deal.account]
            if begins < truth.world.now and (ends is None or ends > deal.closed_at)
        ]
        day = min(since, default=(truth.world.now - INSTANT).date())
        late = day - deal.closed_at.date() > BILLED_WITHIN
        if since or late:
            team = deal.team or current.get(deal.owner_id or "")
            yield deal.closed_at, "late_billing", "won to first subscription", team, late, deal.amount
