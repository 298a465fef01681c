"""The tables of which only what changed is computed again, against the same SELECTs over everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from settings.paths import DBT_PROJECT, Home

#: Builds what is kept and what of core and marts it is made of, once for each line of variables; answers with
#: the status of every model and, by table, the SELECT it is made of.
_DBT = """
import json, sys
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
silent = ["--log-level", "none", "--log-level-file", "none"]
manifest = dbtRunner().invoke([*silent, "parse"]).result
selected = [f"+config.materialized:kept,fqn:{folder}" for folder in ("core", "marts")]
for line in sys.stdin:
    done = dbtRunner(manifest=manifest).invoke([*silent, "run", "--select", *selected, "--vars", line])
    DuckDBConnectionManager._ENV.close()
    DuckDBConnectionManager.close_all_connections()
    print(json.dumps({
        "statuses": {one.node.name: one.status for one in done.result},
        "selects": {
            f"{one.node.schema}.{one.node.alias}": one.node.compiled_code
            for one in done.result if one.node.config.materialized == "kept"
        },
    }), flush=True)
"""


@dataclass(frozen=True)
class Kept:
    """dbt on a copy of a company's warehouse."""

    home: Home
    given: dict[str, Any]
    dbt: subprocess.Popen[str]

    def change(self, statements: str) -> None:
        """What the silos say from now on."""
        with duckdb.connect(str(self.home.warehouse)) as warehouse:
            warehouse.execute(f"set timezone = 'UTC'; {statements}")

    def build(self, **variables: Any) -> dict[str, str]:
        """Build it with other variables; gives the models that failed, with their status."""
        return self._build(variables)[0]

    def differences(self, **variables: Any) -> dict[str, Any]:
        """Build it; gives what failed, and by table how many rows are not, and are only, in its SELECT."""
        failed, selects = self._build(variables)
        found: dict[str, Any] = dict(failed)
        with duckdb.connect(str(self.home.warehouse), read_only=True) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            for table, select in selects.items():
                warehouse.execute(f"create or replace temp table anew as {select}")
                columns = ", ".join(
                    f'"{row[0]}"' for row in warehouse.execute(f"describe {table}").fetchall()
                )
                one, other = f"select {columns} from {table}", f"select {columns} from anew"
                counts = [
                    _count(warehouse, f"{left} except all {right}")
                    for left, right in ((one, other), (other, one))
                ]
                if counts != [0, 0] or _count(warehouse, other) == 0:
                    found[table] = counts
        return found

    def _build(self, variables: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        assert self.dbt.stdin is not None and self.dbt.stdout is not None
        self.dbt.stdin.write(json.dumps(self.given | variables) + "\n")
        self.dbt.stdin.flush()
        answer = json.loads(self.dbt.stdout.readline())
        failed = {name: status for name, status in answer["statuses"].items() if status != "success"}
        return failed, answer["selects"]


@contextmanager
def kept(home: Home, given: dict[str, Any]) -> Iterator[Kept]:
    """dbt with these variables on the warehouse of a state folder, until the end of the block."""
    environment = {
        **os.environ,
        "REVOPS_WAREHOUSE": str(home.warehouse),
        "DBT_TARGET_PATH": str(home.dbt),
        "DBT_LOG_PATH": str(home.dbt),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _DBT],
        cwd=DBT_PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as dbt:
        yield Kept(home, given, dbt)


def _count(warehouse: duckdb.DuckDBPyConnection, query: str) -> int:
    row = warehouse.execute(f"select count(*) from ({query})").fetchone()
    assert row is not None
    return int(row[0])
