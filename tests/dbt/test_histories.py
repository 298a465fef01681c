"""What holds of every history of subscriptions, on the models' own SQL."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import kpi_records
import pytest
from compiled import Memory, Models, Rows, compiled
from histories import AS_OF, histories, known_at
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TABLES = ("core.mrr_monthly", "core.renewals", "core.kpi_revenue", "marts.kpi_values")


def written(as_of: datetime) -> str:
    """An instant as the models have it."""
    return f"{as_of:%Y-%m-%d %H:%M:%S}+00"


class Warehouse:
    """The models of one compilation on a warehouse in memory."""

    def __init__(self, models: Models, emptied: Path) -> None:
        self.memory = Memory(emptied)
        self.assertions = models.assertions
        self.chain = models.models
        self.told: set[str] = set()

    def build(self, rows: Rows, as_of: datetime = AS_OF) -> dict[str, list[Any]]:
        """Load rows, build every model, give the tables that are looked at, in order."""
        self.memory.load({**{table: [] for table in self.told}, **rows})
        self.told |= rows.keys()
        self.memory.build(self.chain, written(as_of))
        return {table: self.memory.rows(f"from {table} order by all") for table in TABLES}


@pytest.fixture(scope="module")
def warehouse(emptied: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    models = compiled(tmp_path_factory.mktemp("compiled"))
    return Warehouse(models, emptied)


#: The fixture is loaded anew by every example. Seeds are fixed so that a commit is judged by what is in it.
every_history = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@every_history
@given(rows=histories())
def test_bridges_close_and_rates_are_in_range(warehouse: Warehouse, rows: Rows) -> None:
    warehouse.build(rows)
    memory = warehouse.memory
    for name, query in warehouse.assertions.items():
        assert memory.rows(query, written(AS_OF)) == [], name
    for table in ("core.mrr_monthly", "marts.mrr_monthly", "marts.arr_bridge"):
        moved = 'opening + "new" + reactivation + expansion + contraction + churn + fx'
        assert memory.rows(f"from {table} where {moved} is distinct from closing") == [], table
    rates = """
        pivot (from marts.kpi_values where segment = 'all' and period = 'month')
        on kpi in (nrr, grr, nrr_1m, grr_1m, logo_churn_rate) using any_value(value) group by period_start
    """
    assert (
        memory.rows(
            f"from ({rates}) where nrr < grr or nrr_1m < grr_1m or grr > 1 or grr_1m > 1 or grr < 0"
            " or logo_churn_rate not between 0 and 1"
        )
        == []
    )


@every_history
@given(rows=histories())
def test_segments_and_records_add_up_to_the_whole(warehouse: Warehouse, rows: Rows) -> None:
    warehouse.build(rows)
    memory = warehouse.memory
    counted = {kpi for (kpi,) in memory.rows("select distinct kpi from core.kpi_records")}
    unequal = kpi_records.differences(memory.connection)
    assert [line for line in unequal if line.split()[0] in counted] == []
    parts = """
        select kpi, period, period_start, sum(numerator) as numerator, sum(denominator) as denominator
        from marts.kpi_values
        inner join marts.kpi_definitions using (kpi)
        where segment <> 'all' and made_of is null
        group by kpi, period, period_start, segment
    """
    wrong = memory.rows(
        f"""
        select wholes.kpi, wholes.period, wholes.period_start from ({parts}) as parts
        inner join marts.kpi_values as wholes using (kpi, period, period_start)
        where wholes.segment = 'all' and (
            wholes.numerator <> parts.numerator
            or (wholes.denominator <> parts.denominator and wholes.denominator <> 1)
        )
        """
    )
    assert wrong == []


@every_history
@given(rows=histories(), order=st.randoms(use_true_random=False))
def test_neither_the_order_of_loading_nor_a_second_time_changes_anything(
    warehouse: Warehouse, rows: Rows, order: random.Random
) -> None:
    first = warehouse.build(rows)
    warehouse.memory.build(warehouse.chain, written(AS_OF))
    again = {table: warehouse.memory.rows(f"from {table} order by all") for table in TABLES}
    assert again == first
    assert warehouse.build({table: order.sample(given, len(given)) for table, given in rows.items()}) == first


@every_history
@given(rows=histories(), month=st.integers(1, 14))
def test_the_past_is_as_it_was_told_then(warehouse: Warehouse, rows: Rows, month: int) -> None:
    then = datetime(2024 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    told = warehouse.build(known_at(rows, then), then)
    assert warehouse.build(rows, then) == told


def subscription(key: str, account: str, started: str, **more: str | None) -> Rows:
    """One of 100 a month, billed by the quarter."""
    own = {"source": "pay", "subscription_id": key}
    return {
        "identity.billing_customers": [{"source": "pay", "customer_id": account, "account": account}],
        "billing.subscriptions": [
            {**own, "customer_id": account, "currency": "USD", "status": "active", "created_at": started}
            | {"started_at": started, **more}
        ],
        "billing.subscription_items": [
            {**own, "subscription_item_id": "i", "valid_from": started, "unit_amount": "300"}
            | {"interval": "month", "interval_count": "3"}
        ],
    }


def together(*given: Rows) -> Rows:
    """The rows of all."""
    found: dict[str, list[Any]] = {}
    for rows in given:
        for table, more in rows.items():
            kept = found.setdefault(table, [])
            kept.extend(row for row in more if row not in kept)
    return found


def test_what_comes_later_is_not_known_before(warehouse: Warehouse) -> None:
    """A loss gets its reason, and a contract its successor, only when there is one."""
    pause = {"source": "pay", "subscription_id": "p", "paused_at": "2024-03-10 00:00:00+00"}
    rows = together(
        subscription("a", "A", "2024-01-01 00:00:00+00", ended_at="2024-04-01 00:00:00+00"),
        subscription("b", "A", "2024-05-20 00:00:00+00"),
        subscription(
            "p",
            "P",
            "2024-01-15 00:00:00+00",
            canceled_at="2024-08-01 00:00:00+00",
            ended_at="2024-08-01 00:00:00+00",
            cancellation_reason="payment_failed",
        ),
        {"billing.subscription_pauses": [pause]},
    )
    lost = "select account, month, is_involuntary from core.mrr_monthly where churn < 0 order by all"
    due = "select subscription_id, status, amount_renewed from core.renewals where account = 'A'"
    for then, renewed in (
        ("2024-05-01", [("a", "pending", 0)]),
        ("2024-06-01", [("a", "renewed_late", 100)]),
    ):
        warehouse.build(rows, datetime.fromisoformat(f"{then}T00:00:00+00:00"))
        churned = [("A", date(2024, 4, 1), False), ("P", date(2024, 3, 1), False)]
        assert warehouse.memory.rows(lost) == churned
        assert warehouse.memory.rows(due) == renewed


def kpi(warehouse: Warehouse, name: str, period: str = "month") -> dict[str, Any]:
    """A KPI's values of the whole company by month, as 2024-02."""
    found = warehouse.memory.rows(
        "select strftime(period_start, '%Y-%m'), value from marts.kpi_values"
        f" where kpi = '{name}' and period = '{period}' and segment = 'all' order by all"
    )
    return {month: value if value is None else float(value) for month, value in found}


def test_an_empty_warehouse_has_no_figures_and_no_errors(warehouse: Warehouse) -> None:
    warehouse.build({})
    known = {"marts.kpi_definitions", "marts.kpi_policies", "core.core__fact_totals"}
    for model in warehouse.chain:
        if model.table not in known:
            assert warehouse.memory.rows(f"from {model.table} limit 1") == [], model.table
    for name, query in warehouse.assertions.items():
        assert warehouse.memory.rows(query, written(AS_OF)) == [], name


def test_a_month_in_which_nothing_closed_has_counts_but_no_rate(warehouse: Warehouse) -> None:
    deals = [
        {"source": "hub", "opportunity_id": key, "outcome": "won", "amount": amount, "currency": "USD"}
        | {"created_at": f"2024-{month}-02 00:00:00+00", "closed_at": f"2024-{month}-05 00:00:00+00"}
        for key, month, amount in (("a", "01", "10"), ("b", "03", None), ("c", "03", "0"))
    ]
    warehouse.build({"crm.opportunities": deals}, datetime(2024, 4, 1, tzinfo=UTC))
    assert kpi(warehouse, "win_rate") == {"2024-01": 1, "2024-02": None, "2024-03": 1}
    assert kpi(warehouse, "won_revenue") == {"2024-01": 10, "2024-02": 0, "2024-03": 0}
    assert kpi(warehouse, "win_rate_value") == {"2024-01": 1, "2024-02": None, "2024-03": None}
    assert kpi(warehouse, "sales_cycle_days") == {"2024-01": 3, "2024-02": None, "2024-03": 3}


def test_the_only_customer_leaves(warehouse: Warehouse) -> None:
    gone = {"ended_at": "2024-02-29 12:00:00+00", "canceled_at": "2024-02-20 00:00:00+00"}
    warehouse.build(
        subscription("s", "A", "2024-01-15 00:00:00+00", **gone), datetime(2024, 4, 1, tzinfo=UTC)
    )
    assert kpi(warehouse, "mrr") == {"2024-01": 100, "2024-02": 0, "2024-03": 0}
    assert kpi(warehouse, "logo_churn_rate") == {"2024-01": None, "2024-02": 1, "2024-03": None}
    assert kpi(warehouse, "grr_1m") == {"2024-01": None, "2024-02": 0, "2024-03": None}
    assert kpi(warehouse, "quick_ratio") == {"2024-01": None, "2024-02": 0, "2024-03": None}
    for name in ("arpa", "clv"):
        assert kpi(warehouse, name)["2024-02"] is None and kpi(warehouse, name)["2024-03"] is None


def test_a_contract_of_the_leap_day_falls_due_on_the_last_of_february(warehouse: Warehouse) -> None:
    rows = subscription("s", "A", "2024-02-29 00:00:00+00")
    [item] = rows["billing.subscription_items"]
    yearly = {**item, "unit_amount": "1200", "interval": "year", "interval_count": "1"}
    warehouse.build({**rows, "billing.subscription_items": [yearly]})
    due = warehouse.memory.rows("select due_on, amount_due, amount_renewed, status from core.renewals")
    assert due == [(date(2025, 2, 28), 100, 100, "renewed")]
    assert kpi(warehouse, "mrr")["2024-02"] == kpi(warehouse, "mrr")["2025-03"] == 100
    assert kpi(warehouse, "nrr")["2025-02"] == 1


def test_a_currency_without_a_rate_is_said_and_not_left_out(warehouse: Warehouse) -> None:
    rows = subscription("s", "A", "2024-01-15 00:00:00+00")
    [sold] = rows["billing.subscriptions"]
    foreign = {**rows, "billing.subscriptions": [{**sold, "currency": "CHF"}]}
    warehouse.build(foreign, datetime(2024, 3, 1, tzinfo=UTC))
    said = warehouse.memory.rows(warehouse.assertions["assert_no_amount_without_rate"], written(AS_OF))
    assert {(month, currency) for month, currency, _ in said} == {
        (date(2024, 1, 1), "CHF"),
        (date(2024, 2, 1), "CHF"),
    }
    rate = {"source": "bank", "currency": "CHF", "rate_date": "2024-01-20", "rate": "1.15"}
    warehouse.build({**foreign, "finance.fx_rates": [rate]}, datetime(2024, 3, 1, tzinfo=UTC))
    assert kpi(warehouse, "mrr") == {"2024-01": 115, "2024-02": 115}


@pytest.mark.parametrize("amount", ["0", None])
def test_what_costs_nothing_makes_no_customer(warehouse: Warehouse, amount: str | None) -> None:
    rows = subscription("s", "A", "2024-01-15 00:00:00+00")
    [item] = rows["billing.subscription_items"]
    warehouse.build({**rows, "billing.subscription_items": [{**item, "unit_amount": amount}]})
    assert set(kpi(warehouse, "mrr").values()) == {0}
    assert set(kpi(warehouse, "arpa").values()) == set(kpi(warehouse, "logo_churn_rate").values()) == {None}
