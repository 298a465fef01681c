"""dbt's unit tests, all of them, on a warehouse without a row."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import yaml

from expectations import register
from settings.paths import DBT_PROJECT


@dataclass(frozen=True)
class Dbt:
    """dbt on a warehouse of its own."""

    folder: Path

    def __call__(self, *arguments: str, project: Path = DBT_PROJECT) -> dict[str, str]:
        """Run a command; gives each node's status."""
        target = self.folder / project.name
        results = target / "run_results.json"
        results.unlink(missing_ok=True)
        environment = {
            "REVOPS_WAREHOUSE": str(self.folder / "warehouse.duckdb"),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
        }
        done = subprocess.run(
            [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors", *arguments],
            cwd=project,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert results.exists(), done.stdout + done.stderr
        found = json.loads(results.read_text(encoding="utf-8"))["results"]
        statuses = {result["unique_id"]: result["status"] for result in found}
        assert (done.returncode == 0) == (set(statuses.values()) <= {"success", "pass"}), done.stdout
        return statuses


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Every model is a table without rows; unit tests ask these for their columns."""
    made = Dbt(tmp_path_factory.mktemp("unit"))
    with duckdb.connect(str(made.folder / "warehouse.duckdb")) as warehouse:
        register.create(_Session(warehouse))  # type: ignore[arg-type]
    built = made("run", "--empty")
    assert set(built.values()) == {"success"}, built
    return made


class _Session:
    """As much of the gates' session as the register's creation needs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, query: str) -> None:
        self._connection.execute(query)


def declared() -> set[str]:
    """Model and name of every unit test in the project's files."""
    return {
        f"{test['model']}.{test['name']}"
        for file in (DBT_PROJECT / "models").rglob("*.yml")
        for test in yaml.safe_load(file.read_text(encoding="utf-8")).get("unit_tests", [])
    }


def test_every_unit_test_of_the_models_runs_and_passes(dbt: Dbt) -> None:
    ran = dbt("test", "--select", "test_type:unit")
    assert {name: status for name, status in ran.items() if status != "pass"} == {}
    assert {name.removeprefix("unit_test.revops_warehouse.") for name in ran} == declared()
    assert len(ran) >= 39


def test_a_wrong_expectation_is_seen(dbt: Dbt, tmp_path: Path) -> None:
    project = tmp_path / "changed"
    shutil.copytree(DBT_PROJECT, project)
    file = project / "models" / "core" / "_core_unit_tests_movements.yml"
    right, wrong = "F,0,40,0,0,0,0,0,40,false", "F,0,40,0,0,0,0,0,41,false"
    text = file.read_text(encoding="utf-8")
    assert text.count(right) == 1
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    selected = "core__mrr_monthly,test_name:every_kind_of_movement"
    assert list(dbt("test", "--select", selected, project=project).values()) == ["fail"]
