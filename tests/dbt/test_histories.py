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
