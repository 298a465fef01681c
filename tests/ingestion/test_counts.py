"""What a vendor counts itself is compared with what arrived: a row lost here is a gap with both counts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import gates_company as company
import pytest
from vendor_bench import Bench, served
from vendor_hands import HANDS

from expectations.engine import evaluate
from expectations.facts import Source
from sandbox.simulation import simulate

#: Vendor -> the tables it counts.
COUNTED = {
    "hubspot": ("companies", "contacts", "deals"),
    "salesforce": (
        *("accounts", "campaign_members", "campaigns", "contacts", "events", "leads", "opportunities"),
        *("opportunity_contact_roles", "tasks"),
    ),
    "pipedrive": ("deals",),
}
LARGEST = {"hubspot": "contacts", "salesforce": "tasks", "pipedrive": "deals"}


def incomplete(bench: Bench) -> list[tuple[str, str, str]]:
    """The gaps of completeness among a vendor's tables."""
    register = bench.home.root / "register.parquet"
    sources = [*company.SOURCES, Source(bench.vendor, "crm", False, None)]
    evaluate(bench.home.warehouse, register, sources, company.AS_OF, "USD")
    return bench.rows(
        "select key_left, value_left, value_right from gaps.register "
        "where gap_type = 'incomplete_load' and resolved_at is null"
    )


@pytest.mark.parametrize("vendor", COUNTED)
def test_rows_that_are_lost_are_a_gap(vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in HANDS[vendor].settings:
        monkeypatch.setattr(*setting)
    table, world = LARGEST[vendor], partial(simulate, seed=9, months=8, size=40)
    with served(vendor, world, tmp_path) as bench:
        bench.load()
    assert bench.rows(f"select table_name from raw_{vendor}._counts order by 1") == [
        (name,) for name in COUNTED[vendor]
    ]
    for name, count in bench.rows(f"select table_name, row_count from raw_{vendor}._counts"):
        # Those of the last minutes may not be counted yet.
        [(live,)] = bench.rows(f"select count(*) from raw_{vendor}.{name} where not is_deleted")
        assert live - 5 <= count <= live
    company.build(bench.home.warehouse)
    company.model(bench.home.warehouse)
    assert incomplete(bench) == []

    [(counted,)] = bench.rows(f"select row_count from raw_{vendor}._counts where table_name = '{table}'")
    column = {"hubspot": "createdate", "salesforce": "created_date", "pipedrive": "add_time"}[vendor]
    lost = f"select id from raw_{vendor}.{table} where not is_deleted order by {column} limit 3"
    bench.write(f"delete from raw_{vendor}.{table} where id in ({lost})")
    assert incomplete(bench) == [
        (f"{vendor} {table}", f"{counted - 3} row(s) here", f"{counted} counted by the source")
    ]
