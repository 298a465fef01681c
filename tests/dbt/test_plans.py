"""No model looks at every pair of two tables' rows: twice the company would take four times as long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from revops import Revops

#: How DuckDB joins where no condition of the join compares a column of one side with one of the other.
PAIRWISE = "BLOCKWISE_NL_JOIN"
#: One side is as short in any company.
SHORT = {"core__kpi_forecast": "a company's quarters", "marts__kpi_values": "definitions of KPIs"}


def joins(plan: list[dict[str, Any]]) -> Iterator[str]:
    """The conditions of all joins by pairs."""
    for node in plan:
        if node["name"] == PAIRWISE:
            yield str(node["extra_info"]["Condition"])
        yield from joins(node["children"])


def test_no_model_joins_every_row_with_every_other(small_company: Revops) -> None:
    models = sorted((small_company.home / "dbt" / "compiled" / "revops_warehouse" / "models").rglob("*.sql"))
    found = {}
    with small_company.warehouse() as warehouse:
        for path in models:
            if path.parent.suffix != ".yml":  # a test
                plan = warehouse.execute(
                    f"explain (format json) {path.read_text(encoding='utf-8')}"
                ).fetchone()
                assert plan is not None
                found[path.stem] = [*joins(json.loads(plan[1]))]
    assert len(found) > 100 and all(found[name] for name in SHORT)
    pairwise = {name: pairs for name, pairs in found.items() if pairs and name not in SHORT}
    assert not pairwise, (
        f"{pairwise}: DuckDB finds a row's partners by comparisons of one side with the other only, such as "
        "`at < coalesce(until_at, 'infinity')`, not `coalesce(at < until_at, true)`"
    )
