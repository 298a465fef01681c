"""dbt on a warehouse of its own, without a run around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb

from expectations import register
from settings.paths import DBT_PROJECT


@dataclass(frozen=True)
class Dbt:
    """dbt on the warehouse in a folder."""

    folder: Path

    def environment(self, project: Path) -> dict[str, str]:
        """Where dbt finds the warehouse and leaves what it makes."""
        target = str(self.folder / project.name)
        own = {
            "REVOPS_WAREHOUSE": str(self.folder / "warehouse.duckdb"),
            "DBT_TARGET_PATH": target,
            "DBT_LOG_PATH": target,
        }
        return {**os.environ, **own}

    def __call__(self, *arguments: str, project: Path = DBT_PROJECT) -> dict[str, str]:
        """Run a command; gives each node's status."""
        target = self.folder / project.name
        results = target / "run_results.json"
        results.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors", *arguments],
            cwd=project,
            env=self.environment(project),
            capture_output=True,
            text=True,
        )
        assert results.exists(), done.stdout + done.stderr
        found = json.loads(results.read_text(encoding="utf-8"))["results"]
        statuses = {result["unique_id"]: result["status"] for result in found}
        assert (done.returncode == 0) == (set(statuses.values()) <= {"success", "pass"}), done.stdout
        return statuses


def empty_warehouse(folder: Path) -> Path:
    """A warehouse in which every model is a table without rows."""
    dbt = Dbt(folder)
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        register.create(_Session(connection))  # type: ignore[arg-type]
    built = dbt("run", "--empty")
    assert set(built.values()) == {"success"}, built
    return warehouse


class _Session:
    """As much of the gates' session as the register's creation needs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def run(self, query: str) -> None:
        self._connection.execute(query)
