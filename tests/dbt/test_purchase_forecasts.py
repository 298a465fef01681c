"""What companies without a contract will buy, forecast from a population whose future is known."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from dbt_alone import Dbt

from dbt_project.models.core.core__purchase_forecasts import FEWEST_RETURNED

START, AS_OF = datetime(2023, 1, 2, 12, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
MODELS = "core__calendar core__closing_rates core__purchases core__purchase_forecasts"
COMPANIES = 1500


@pytest.fixture(scope="module")
def dbt(emptied: Path, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    made = Dbt(tmp_path_factory.mktemp("purchases"))
    shutil.copyfile(emptied, made.folder / "warehouse.duckdb")
    return made


def lived(seed: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Invoices of companies that buy at rates of their own until they stop, and the next year's purchases."""
    random = np.random.default_rng(seed)
    weeks, rows = (AS_OF - START) / timedelta(weeks=1), []
    future: dict[str, int] = {}
    for place in range(COMPANIES):
        company, first = f"c{place}", random.uniform(0, weeks - 20)
        rate, leaves, worth = random.gamma(0.9, 1 / 8), random.beta(0.8, 2.5), random.gamma(8, 100)
        future[company], week = 0, first
        while week < weeks + 52:
            if week < weeks:
                amount = round(float(random.gamma(6, worth / 6)), 2)
                rows.append((f"{company}-{week}", company, START + timedelta(weeks=week), amount))
            else:
                future[company] += 1
            if week > first and random.random() < leaves:
                break
            week += random.exponential(1 / rate)
    return pd.DataFrame(rows, columns=["invoice_id", "customer_id", "issued_at", "total"]), future


def build(dbt: Dbt, invoices: pd.DataFrame, *more: str) -> list[dict[str, Any]]:
    """The forecasts of invoices."""
    with duckdb.connect(str(dbt.folder / "warehouse.duckdb")) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        for table in ("billing.invoices", "billing.credit_notes", "billing.subscriptions"):
            warehouse.execute(f"delete from {table}")
        warehouse.execute("delete from identity.billing_customers")
        warehouse.execute(
            "insert into billing.invoices by name select 'pay' as source, *, 0 as tax, 'EUR' as currency,"
            " 'paid' as status from invoices"
        )
        warehouse.execute(
            "insert into identity.billing_customers by name select distinct 'pay' as source, customer_id,"
            " customer_id as account from billing.invoices"
        )
        for statement in more:
            warehouse.execute(statement)
    given = {"as_of": AS_OF.isoformat(), "currency": "EUR", "silos": ["billing"]}
    ran = dbt("run", "--select", MODELS, "--vars", json.dumps(given))
    assert set(ran.values()) == {"success"}
    with duckdb.connect(str(dbt.folder / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute("from core.purchase_forecasts order by account")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_a_year_of_purchases_is_forecast(dbt: Dbt) -> None:
    invoices, future = lived(7)
    under_contract = invoices.iloc[0]["customer_id"]
    found = build(
        dbt,
        invoices,
        "insert into billing.subscriptions by name"
        f" select 'pay' as source, '{under_contract}' as customer_id",
        "insert into billing.invoices by name select 'pay' as source, invoice_id || 'v' as invoice_id,"
        " customer_id, issued_at, 9 * total as total, 'void' as status from billing.invoices",
    )
    assert {row["account"] for row in found} == future.keys() - {under_contract}
    total = sum(row["purchases_next_year"] for row in found)
    assert total == pytest.approx(sum(future.values()), rel=0.15)
    # Those it takes for gone come back far less often than those it takes for alive.
    alive = [row for row in found if row["probability_alive"] > 0.8 and row["purchases_next_year"] > 1]
    gone = [row for row in found if row["probability_alive"] < 0.2]
    came = [sum(future[row["account"]] > 0 for row in part) / len(part) for part in (alive, gone)]
    assert len(alive) > 50 and len(gone) > 50 and came[0] > 0.6 and came[1] < 0.2
    mean = sum(row["amount_a_purchase"] for row in found) / len(found)
    assert mean == pytest.approx(invoices["total"].mean(), rel=0.05)


def test_purchases_are_net_of_tax_and_credit_notes_in_reporting_currency(dbt: Dbt) -> None:
    at = [datetime(2025, 3, day, 12, tzinfo=UTC) for day in (3, 3, 5)]
    invoices = pd.DataFrame(
        {"invoice_id": ["1", "2", "3"], "customer_id": "c", "issued_at": at, "total": [119.0, 50.0, 10.0]}
    )
    few = build(
        dbt,
        invoices,
        "update billing.invoices set tax = 19, currency = 'USD' where invoice_id = '1'",
        "insert into finance.fx_rates by name select 'bank' as source, 'USD' as currency,"
        " date '2025-03-01' as rate_date, 0.5 as rate",
        "insert into billing.credit_notes by name select 'pay' as source, '3' as invoice_id, 10 as amount,"
        " timestamptz '2025-04-01' as issued_at",
    )
    assert few == []
    with duckdb.connect(str(dbt.folder / "warehouse.duckdb"), read_only=True) as warehouse:
        bought = warehouse.execute(
            "select account, purchased_on, amount::double from core.purchases"
        ).fetchall()
    assert bought == [("c", date(2025, 3, 3), 100.0)]


def test_too_few_that_came_back_are_not_judged_by(dbt: Dbt) -> None:
    invoices, _ = lived(7)
    days = invoices.groupby("customer_id").size()
    chosen = days[days > 2].index[: FEWEST_RETURNED - 1]
    assert build(dbt, invoices[invoices["customer_id"].isin(chosen)]) == []
