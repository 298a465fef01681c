"""The same company, whichever CRM, e-mail tool and billing system shows it: the marts do not tell.

`make test` tries enough combinations to have each vendor in one; `make test-all` tries every one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from revops import seen_through

from settings.vendors import vendors

SIZE, MONTHS = 60, 14
BASE = ("hubspot", "mailshake", "stripe")
OF = {
    silo: [vendor for vendor, its in vendors().items() if its == silo] for silo in ("crm", "email", "billing")
}
ALL = [combination for combination in itertools.product(*OF.values()) if combination != BASE]


def cover() -> list[tuple[str, ...]]:
    """The fewest combinations that have every vendor; the base has the first of each silo."""
    most = max(len(known) for known in OF.values())
    others = [[vendor for vendor in known if vendor not in BASE] or [known[0]] for known in OF.values()]
    return [tuple(known[place % len(known)] for known in others) for place in range(most - 1)]


#: What vendors keep differently: their own tables and when they were loaded, what an e-mail tool is for,
#: the ids of what happens to messages, and whether a change within a term is a negative line or a credit. The
#: audit is of the tools themselves: which of their tables nobody uses, which people two of them mail.
NOT_COMPARED: dict[str, set[str] | None] = {
    "source_freshness": None,
    "process_audit": None,
    "email_performance": {"kind"},
    "funnel": {"contacted_witness", "engaged_witness", "replied_witness"},
    "funnel_steps": {"record_id"},
    "revenue_walk": {"prorations", "tax", "invoiced", "credit_notes", "credits_left"},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The marts of the base combination: of the first run, and of one a month later."""
    return list(two_runs(BASE, tmp_path_factory.mktemp("base")))


def two_runs(combination: tuple[str, ...], folder: Path) -> Iterator[Path]:
    crm, email, billing = combination
    revops = seen_through(folder, crm, email, billing, SIZE, MONTHS)
    for _ in range(2):
        revops("run")
        yield (revops.home / "marts" / "current.duckdb").resolve()
        revops("sandbox", "advance", "--days", "30")


@pytest.mark.parametrize(
    "combination", ALL if os.environ.get("REVOPS_TEST_ALL") == "1" else cover(), ids="-".join
)
def test_the_marts_are_the_same(combination: tuple[str, ...], base: list[Path], tmp_path: Path) -> None:
    for place, marts in enumerate(two_runs(combination, tmp_path)):
        assert list(differences(base[place], marts)) == []


def differences(base: Path, other: Path) -> Iterator[str]:
    """A line for each mart that differs, with a few of the rows only one side has."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"attach '{base}' as base (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        tables = connection.execute(
            "select distinct table_name from duckdb_tables() where schema_name = 'marts' order by 1"
        ).fetchall()
        for (table,) in tables:
            skipped = NOT_COMPARED.get(table, set())
            if skipped is None:
                continue
            columns = f"* exclude ({', '.join(skipped)})" if skipped else "*"
            for here, there in (("base", "other"), ("other", "base")):
                rows = connection.execute(
                    f"select {columns} from {here}.marts.{table}"
                    f" except all select {columns} from {there}.marts.{table}"
                ).fetchall()
                if rows:
                    yield f"{table}: {len(rows)} row(s) only in {here}, such as {rows[:2]}"
