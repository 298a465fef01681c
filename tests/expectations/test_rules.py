"""No rule is stated twice: what a gate asks of the silo contract's values is no dbt test as well."""

from __future__ import annotations

import yaml

from expectations.contract_rules import ALLOWED_VALUES
from settings.paths import DBT_PROJECT


def test_values_that_a_gate_checks_are_no_dbt_test() -> None:
    by_gate = {(table.split(".")[1], column): optional for table, column, _, optional in ALLOWED_VALUES}
    twice, columns = [], 0
    for folder in ("staging", "contract"):
        for file in sorted((DBT_PROJECT / "models" / folder).rglob("*.yml")):
            for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", []):
                for column in model.get("columns", []):
                    optional = by_gate.get((model["name"].split("__")[-1], column["name"]))
                    if optional is None:
                        continue
                    columns += 1
                    named = [
                        next(iter(t)) if isinstance(t, dict) else t for t in column.get("data_tests", [])
                    ]
                    forbidden = {"accepted_values"} | (set() if optional else {"not_null"})
                    twice += [(model["name"], column["name"], test) for test in named if test in forbidden]
    assert columns > 10
    assert twice == []
