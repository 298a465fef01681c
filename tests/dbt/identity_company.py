"""A company of files whose identities are resolved by the real load and the real dbt project, run by run."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import duckdb

from ingestion.core import load_source
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from settings.config import load_config
from settings.paths import DBT_PROJECT, Home

Row = dict[str, Any]

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
SILOS = {"accounts": "crm", "contacts": "crm", "leads": "crm", "recipients": "email", "customers": "billing"}
COLUMNS = {
    "accounts": "account_id name domain country tax_id billing_customer_id parent_account_id merged_into_id",
    "contacts": "contact_id account_id email first_name last_name birth_date city merged_into_id",
    "leads": "lead_id email first_name last_name company_name converted_account_id converted_contact_id",
    "recipients": "recipient_id email first_name last_name company_name",
    "customers": "customer_id name email domain country tax_id crm_account_id",
}
NAMES = {"crm": "hub", "email": "mail", "billing": "pay"}


@dataclass
class IdentityCompany:
    """Its folder; a context, in which dbt waits for runs."""

    folder: Path
    overrides: list[str] = field(default_factory=list)  # lines: action,left,right,who,why
    runs: int = 0
    _dbt: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for silo, name in NAMES.items():
            parts = ["allow_shrink = true", "[files]"]
            tables = [table for table, its in SILOS.items() if its == silo]
            parts += [f'{table} = "{table}.csv"' for table in tables]
            for table in tables:
                parts += [f"[tables.{table}]", f'from = "{table}"', f"[tables.{table}.columns]"]
                created = "added_at" if table == "recipients" else "created_at"
                parts += [f'{column} = "{column}"' for column in (*COLUMNS[table].split(), created)]
            (self.folder / f"{name}.toml").write_text("\n".join(parts))
        return self

    def __exit__(self, *_: object) -> None:
        if self._dbt is not None:
            self._dbt.kill()
            self._dbt.communicate()

    @property
    def home(self) -> Home:
        """Where its state lies."""
        return Home(self.folder / "home")

    def forget(self) -> None:
        """Begin anew, as on a new machine."""
        self.home.warehouse.unlink(missing_ok=True)
        shutil.rmtree(self.home.dlt, ignore_errors=True)
        self.overrides = []

    def drop(self, *tables: str) -> None:
        """Lose tables of identity, so that the next run writes them anew."""
        with duckdb.connect(str(self.home.warehouse)) as warehouse:
            for table in tables:
                warehouse.execute(f"drop table identity.{table}")

    def run(self, **tables: Iterable[Row]) -> None:
        """Load these rows, all there are now, and resolve them; a day after the run before."""
        for table, silo in SILOS.items():
            columns = [*COLUMNS[table].split(), "added_at" if silo == "email" else "created_at"]
            with (self.folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(tables.get(table, ()))
        environment = self._environment()
        as_of = AS_OF + timedelta(days=self.runs)
        self.runs += 1
        for source in environment.config.sources.values():
            load_source(source, as_of, environment.home)
        self._build(environment, as_of)

    def _environment(self) -> Environment:
        lines = ["[company]", 'identity_overrides = "overrides.csv"']
        decisions = ["action,left,right,who,why", *self.overrides]
        (self.folder / "overrides.csv").write_text("\n".join(decisions) + "\n", encoding="utf-8")
        for silo, name in NAMES.items():
            lines += [f"[sources.{name}]", f'silo = "{silo}"', 'type = "files"', f'mapping = "{name}.toml"']
        (self.folder / "revops.toml").write_text("\n".join(lines))
        return Environment(load_config(self.folder / "revops.toml"), self.home)

    def _build(self, environment: Environment, as_of: datetime) -> None:
        if self._dbt is None:  # it has parsed when it comes back to us, and keeps the first run's instant
            self._start(json.dumps(variables(environment, as_of)))
        assert self._dbt is not None and self._dbt.stdin is not None and self._dbt.stdout is not None
        arguments = ["build", "--exclude-resource-type", "unit_test", "--indirect-selection", "cautious"]
        self._dbt.stdin.write(json.dumps([*arguments, "--select", "+fqn:identity"]) + "\n")
        self._dbt.stdin.flush()
        said: list[str] = []
        for line in self._dbt.stdout:
            if '"succeeded"' in line:
                assert json.loads(line)["succeeded"], "".join(said)[-6000:]
                return
            said.append(json.loads(line)["info"]["msg"] + "\n" if line.startswith("{") else line)
        raise AssertionError("dbt ended:\n" + "".join(said)[-6000:])

    def _start(self, given: str) -> None:
        own = {
            "REVOPS_WAREHOUSE": str(self.home.warehouse),
            "DBT_TARGET_PATH": str(self.home.dbt),
            "DBT_LOG_PATH": str(self.home.dbt),
            "DBT_PROFILES_DIR": str(DBT_PROJECT),
        }
        self._dbt = subprocess.Popen(
            [sys.executable, "-m", "orchestration.dbt_worker", given],
            cwd=DBT_PROJECT,
            env={**os.environ, **own, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with duckdb.connect(str(self.home.warehouse), read_only=True) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            return warehouse.execute(query).fetchall()

    def accounts(self) -> dict[str, str]:
        """Record -> account."""
        return dict(self.rows("select silo || ':' || record_id, account from identity.records"))

    def people(self) -> dict[str, str]:
        """Record -> person."""
        return dict(self.rows("select kind || ':' || record_id, person from identity.people_records"))


def clusters(known_as: Mapping[str, str]) -> set[frozenset[str]]:
    """Which records are one, whatever they are called."""
    found = defaultdict(set)
    for record, name in known_as.items():
        found[name].add(record)
    return {frozenset(members) for members in found.values()}


def precision_and_recall(known_as: Mapping[str, str], truth: Mapping[str, Any]) -> tuple[float, float, int]:
    """Over all pairs of records: how many found are true, how many true are found, and how many those are."""
    pairs = [pair for members in clusters(known_as) for pair in itertools.combinations(sorted(members), 2)]
    right = sum(truth[one] == truth[other] for one, other in pairs)
    true = sum(count * (count - 1) // 2 for count in Counter(truth.values()).values())
    return right / len(pairs) if pairs else 1.0, right / true, right
