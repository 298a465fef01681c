"""The ledger's arithmetic against the KPI dictionary's golden numbers, and the ledger of whole worlds."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from sandbox.ledger import Gap, Ledger
from sandbox.ledger.arithmetic import cents, monthly, quantile, ratio
from sandbox.ledger.attribution import MODELS, attribution, shared, weights
from sandbox.ledger.bottlenecks import kaplan_meier
from sandbox.ledger.mrr import bridge_rates, movement
from sandbox.ledger.sales import Opportunity, Sales
from sandbox.simulation import simulate
from sandbox.simulation.planted import PLAN

MONTH = date(2025, 3, 1)


@pytest.mark.parametrize(
    ("amount", "interval", "count", "expected"),
    [
        (10, "week", 1, "43.33"),
        (1, "day", 1, "30.42"),
        (1200, "year", 1, "100"),
        (90, "month", 3, "30"),
        (3600, "year", 3, "100"),
        (60, "week", 6, "43.33"),
        (1476 - 276, "year", 1, "100"),
        (4 * 500, "year", 1, "166.67"),
    ],
)
def test_g1_normalise(amount: int, interval: str, count: int, expected: str) -> None:
    assert cents(monthly(amount, interval, count)) == Decimal(expected)


def test_rounding_is_half_away_from_zero() -> None:
    assert cents(Fraction(1, 200)) == Decimal("0.01")
    assert cents(Fraction(-1, 200)) == Decimal("-0.01")


def test_g2_bridge() -> None:
    usd = {"USD": Decimal(1)}
    moves = {"A": (100, 100), "B": (200, 260), "C": (150, 90), "D": (80, 0), "E": (0, 120), "F": (0, 50)}
    rows = [
        movement(
            name,
            MONTH,
            {"USD": Decimal(before)} if before else {},
            {"USD": Decimal(after)} if after else {},
            Decimal(before),
            usd,
            was_customer=name != "E",
        )
        for name, (before, after) in moves.items()
    ]
    euros = {"EUR": Decimal(100)}
    rows.append(movement("G", MONTH, euros, euros, Decimal(110), {"EUR": Decimal("1.05")}, True))
    by_name = {row.account: row for row in rows}
    assert by_name["B"].expansion == 60 and by_name["C"].contraction == -60 and by_name["D"].churn == -80
    assert by_name["E"].new == 120 and by_name["F"].reactivation == 50 and by_name["G"].fx == -5
    assert all(row.residual == 0 for row in rows)
    rates = bridge_rates(rows)
    expected = {
        "closing": "725",
        "logo_churn_rate": "0.2",
        "gross_mrr_churn_rate": "0.21875",
        "net_mrr_churn_rate": "0.125",
        "net_mrr_churn_rate_chartmogul": "0.046875",
        "grr": "0.78125",
        "nrr": "0.875",
        "arr": "8700",
    }
    assert {name: rates[name] for name in expected} == {k: Fraction(v) for k, v in expected.items()}
    assert round(float(rates["quick_ratio"]), 4) == 1.2857
    assert round(float(rates["arpa"]), 4) == 120.8333


def test_g3_sales() -> None:
    at = datetime(2025, 1, 1, tzinfo=UTC)

    def closed(outcome: str, amount: int | None, days: int) -> Opportunity:
        worth = None if amount is None else Decimal(amount)
        return Opportunity("x", None, outcome, "new_business", at, at + timedelta(days=days), worth, None)

    sold = Sales.of(
        [
            *(closed("won", 10000, 30), closed("won", 20000, 75), closed("won", 30000, 0)),
            *(closed("lost", 90000, 5), closed("lost", None, 5)),
        ]
    )
    rows = {kpi: ratio(*pair) if None not in pair else None for kpi, pair in sold.rows().items()}  # type: ignore[arg-type]
    assert rows["win_rate"] == Decimal("0.6")
    assert rows["win_rate_value"] == Decimal("0.4")
    assert rows["sales_cycle_days"] == 30
    assert rows["sales_cycle_days_mean"] == 35
    numerator, denominator = sold.velocity(10)
    assert numerator is not None and denominator is not None
    assert round(numerator / denominator, 2) == Decimal("3428.57")
    nothing = Sales.of([])
    assert nothing.velocity(10) == (None, None)
    assert ratio(Decimal(0), Decimal(0)) is None
    assert quantile([], Fraction(9, 10)) is None


def test_g6_stages() -> None:
    over, there = [(2, True), (4, True), (6, True)], [(5, False), (8, False), (10, False)]
    assert kaplan_meier([*over, *there]) == 6
    assert kaplan_meier(over) == 4  # as if nobody were waiting
    assert kaplan_meier(there) is None


def test_credit_is_shared_out_to_the_cent() -> None:
    five = weights("position_based", 5)
    assert sum(five) == 1 and five[0] == five[-1] == Fraction(2, 5)
    assert shared(Decimal(100), five) == [Decimal(part) for part in ("40", "6.67", "6.67", "6.66", "40")]
    assert shared(Decimal("0.05"), weights("linear", 2)) == [Decimal("0.03"), Decimal("0.02")]
    assert weights("position_based", 2) == [Fraction(1, 2)] * 2
    assert weights("first_touch", 3) == [1, 0, 0] and weights("last_touch", 3) == [0, 0, 1]


def test_attribution_adds_up(ledger: Ledger) -> None:
    credits = attribution(ledger.funnel, ledger.exchange)
    won = sum(o.amount or 0 for o in ledger.opportunities if o.outcome == "won")
    for model in MODELS:
        assert sum(parts[model] for key, parts in credits.items() if key[1] == "revenue") == won
    of_model = [[parts[model] for parts in credits.values()] for model in MODELS]
    assert len({tuple(amounts) for amounts in of_model}) == len(MODELS)


def test_whoever_comes_back_begins_another_journey(ledger: Ledger) -> None:
    journeys = ledger.funnel.journeys
    again = [journey for journey in journeys.values() if journey.cycle > 1]
    assert again
    for journey in again:
        former = journeys[journey.prospect, journey.cycle - 1]
        ended = ledger.funnel.cycles[journey.prospect][journey.cycle - 2]
        assert min(former.reached.values()) < ended < min(journey.reached.values())
    for name in ("renewed", "expanded", "contracted", "churned", "reactivated"):
        assert any(name in journey.reached for journey in journeys.values()), name


def test_bridge_closes_and_links(ledger: Ledger) -> None:
    rows = ledger.mrr_movements
    assert [row for row in rows if row.residual] == []
    for before, after in pairwise(rows):
        if before.account == after.account:
            assert after.opening == before.closing
    for row in rows:
        kinds = [row.new, row.reactivation, row.expansion, row.contraction, row.churn]
        assert sum(1 for amount in kinds if amount) <= 1
        assert row.churn <= 0 and row.contraction <= 0
        assert min(row.new, row.reactivation, row.expansion) >= 0
    for name in ("new", "reactivation", "expansion", "contraction", "churn", "fx", "involuntary"):
        assert any(getattr(row, name) for row in rows), name


def test_closing_mrr_is_what_the_subscriptions_say(ledger: Ledger) -> None:
    world, revenue = ledger.world, ledger.revenue
    last = date(2026, 10, 1)
    closing = {row.account: row.closing for row in ledger.mrr_movements if row.month == last}
    for account in revenue.subscriptions:
        assert closing.get(account, 0) == revenue.reporting(account, world.now)


def test_some_subscriptions_live_inside_one_month(ledger: Ledger) -> None:
    short = [
        s
        for s in ledger.world.billing.subscriptions
        if s.ended_at
        and not s.trial_end
        and (s.ended_at.year, s.ended_at.month) == (s.started_at.year, s.started_at.month)
    ]
    assert short
    assert all(ledger.revenue.of(s, s.ended_at) > 0 for s in short if s.ended_at)


def plantable(ledger: Ledger) -> list[Gap]:
    """Gaps of the kinds that are planted."""
    return [gap for gap in ledger.gaps if gap.gap_type in PLAN]


def test_only_planted_gaps(ledger: Ledger) -> None:
    found = {(g.gap_type, g.key_left, g.key_right) for g in plantable(ledger)}
    planted = {(g.gap_type, g.key_left, g.key_right) for g in ledger.world.truth.gaps}
    assert found == planted
    kinds = [g.gap_type for g in plantable(ledger)]
    assert all(2 <= kinds.count(kind) <= 4 for kind in set(kinds)) and len(set(kinds)) == 5
    arr = sum(row.closing for row in ledger.mrr_movements if row.month == date(2026, 10, 1)) * 12
    for critical in ("won_without_billing", "paying_without_crm"):
        risk = sum(g.money_at_risk for g in ledger.gaps if g.gap_type == critical)
        assert 0 < risk < arr / 100


@pytest.mark.parametrize("days", [-13, 6, 47])
def test_no_gap_appears_while_the_clock_moves(days: int) -> None:
    now = datetime(2026, 11, 1, 3, tzinfo=UTC) + timedelta(days=days)
    world = simulate(19, size=120, now=now, noise=False)
    planted = {(g.gap_type, g.key_left, g.key_right) for g in world.truth.gaps}
    assert {(g.gap_type, g.key_left, g.key_right) for g in plantable(Ledger(world))} <= planted


def test_kpis(ledger: Ledger) -> None:
    rows = {(r.kpi, r.period, r.period_start, r.segment, r.segment_value): r for r in ledger.kpis()}
    assert len(rows) == len(ledger.kpis())

    def value(kpi: str, period: str, start: date) -> Decimal:
        found = rows[kpi, period, start, "all", "all"].value
        assert found is not None
        return found

    quarter = date(2026, 7, 1)
    for kpi in (
        *("win_rate", "sales_cycle_days", "pipeline_velocity", "cac", "forecast_accuracy", "clv"),
        *("logo_churn_rate", "renewal_rate", "expansion_rate", "arr"),
    ):
        assert value(kpi, "quarter", quarter) >= 0
    months = [date(2026, m, 1) for m in (7, 8, 9)]
    by_month = sum(value("won_revenue", "month", month) for month in months)
    assert by_month == value("won_revenue", "quarter", quarter)
    teams = [r for r in rows.values() if r.kpi == "won_revenue" and r.segment == "team" and r.period == "all"]
    assert sum(r.value or 0 for r in teams) == value("won_revenue", "all", date(2024, 11, 1))
    assert len(teams) >= 3
    assert value("arr", "month", months[2]) == 12 * value("mrr", "month", months[2])
    assert rows["logo_churn_rate", "month", date(2024, 11, 1), "all", "all"].value is None


def test_renewals_fall_due_at_term_ends(ledger: Ledger) -> None:
    due = ledger.renewals
    assert due and all(r.due_at < ledger.world.now and r.amount_due > 0 for r in due)
    assert any(r.amount_renewed == 0 for r in due) and any(r.amount_renewed > 0 for r in due)
    billed = {
        (i.subscription_id, line.period_end)
        for i in ledger.world.billing.invoices
        for line in i.lines
        if line.item_id
    }
    assert all((r.subscription_id, r.due_at) in billed for r in due)


def test_everyone_is_somebody(ledger: Ledger) -> None:
    world, known = ledger.world, ledger.identities
    assert {c.id for c in world.crm.companies} == set(known.companies)
    assert {c.id for c in world.crm.contacts} == set(known.contacts)
    assert {c.id for c in world.billing.customers} == set(known.customers)
    assert {r.id for r in world.email.recipients} == set(known.recipients)
    steps = ledger.funnel.journeys
    assert all(j.reached["opportunity"] <= j.reached["won"] for j in steps.values() if "won" in j.reached)
    reached = [sum(1 for j in steps.values() if step in j.reached) for step in ("lead", "mql", "sql", "won")]
    assert reached == sorted(reached, reverse=True) and reached[-1] > 50


def test_every_customer_can_be_linked_by_id_mail_or_domain(ledger: Ledger) -> None:
    """By the identity rules alone, each customer finds its own company; the planted ones find none."""
    crm, known = ledger.world.crm, ledger.identities
    by_id = {c.billing_customer_id: c.id for c in crm.companies if c.billing_customer_id}
    by_mail = {c.email: c.company_id for c in crm.contacts if c.email and c.archived_at is None}
    by_domain = {c.domain: c.id for c in crm.companies if c.domain}
    used = set()
    missing = set()
    for customer in ledger.world.billing.customers:
        mail = customer.email or ""
        links = {
            "billing": customer.crm_account_id,
            "crm": by_id.get(customer.id),
            "mail": by_mail.get(mail),
            "domain": by_domain.get(mail.split("@")[1]),
        }
        found = {how: known.companies[company] for how, company in links.items() if company}
        assert set(found.values()) <= {known.customers[customer.id]}
        if not found:
            missing.add(customer.id)
        used.add(frozenset(found))
    assert missing == {g.key_left for g in ledger.gaps if g.gap_type == "paying_without_crm"}
    assert {frozenset({"mail"}), frozenset({"domain"})} <= used
