"""Every vendor over real HTTP into a real warehouse, which ends as the vendor has it, row for row.

What belongs to one vendor alone is in its own file, kills are in `test_kills.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from revops import checksums
from vendor_bench import Bench, served, written
from vendor_hands import HANDS
from vendor_state import assert_same, told_within

from ingestion.changes import Backfill
from sandbox.simulation import START, simulate
from settings.errors import UserError

CHANGES = [(vendor, change) for vendor, hands in HANDS.items() for change in hands.changes]
TURNING = [(vendor, *turning) for vendor, hands in HANDS.items() for turning in hands.turning]


@pytest.fixture
def bench(vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for setting in HANDS[vendor].settings:
        monkeypatch.setattr(*setting)
    with served(vendor, HANDS[vendor].build, tmp_path) as bench:
        yield bench


def held(bench: Bench) -> dict[str, object]:
    """Every raw table's rows, as a checksum."""
    with duckdb.connect(str(bench.home.warehouse), read_only=True) as warehouse:
        return dict(checksums(warehouse, f"raw_{bench.vendor}"))


@pytest.mark.parametrize("vendor", HANDS)
def test_a_first_load_holds_everything_and_a_rerun_writes_nothing(bench: Bench) -> None:
    report = bench.load()
    assert report.warnings == []
    assert_same(bench)
    before = held(bench)
    assert not any(table.loaded for table in bench.load().tables.values())
    assert held(bench) == before
    assert len(bench.rows(f"select * from raw_{bench.vendor}._dlt_loads")) == 1


@pytest.mark.parametrize(("vendor", "change"), CHANGES)
def test_a_change_is_written_and_nothing_else(bench: Bench, vendor: str, change: str) -> None:
    bench.begin()
    expected = HANDS[vendor].changes[change](bench)
    assert bench.loaded() == expected
    assert_same(bench)
    assert bench.loaded() == {}


@pytest.mark.parametrize(("vendor", "first", "page"), TURNING)
def test_what_comes_and_changes_while_pages_turn_is_not_missed(
    bench: Bench, vendor: str, first: bool, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, happened = HANDS[vendor], []
    if not first:
        bench.begin()
        hands.crowd(bench)
    for size in hands.pages:
        monkeypatch.setattr(*size)
    bench.served.after(page, lambda: happened.append(hands.born(bench)))
    bench.load()
    assert happened
    bench.load()
    assert_same(bench)
    assert bench.loaded() == {}


@pytest.mark.parametrize("vendor", HANDS)
def test_a_month_of_changes_ends_as_the_vendor_has_it(vendor: str, tmp_path: Path) -> None:
    with served(vendor, partial(simulate, seed=9, months=8, size=40), tmp_path) as bench:
        bench.load()
        now = bench.world.now
        later = simulate(seed=9, months=8, size=40, now=now + timedelta(days=30))
        # The event of a discount that ends names its coupon only by id.
        assert [one for one in later.billing.discounts if one.ends_at and now <= one.ends_at < later.now]
        vars(bench.world).update(vars(later))  # the server goes on serving the same object
        bench.load()
        assert_same(bench)
        assert bench.loaded() == {}


#: Vendor -> a table, and the moment by which its records are asked for.
DATED = {
    "hubspot": ("deals", "hs_lastmodifieddate"),
    "salesforce": ("opportunities", "system_modstamp"),
    "pipedrive": ("deals", "update_time"),
    "mailshake": ("sent", "action_date"),
    "stripe": ("charges", "created"),
    "chargebee": ("invoices", "updated_at"),
}


@pytest.mark.parametrize("vendor", DATED)
def test_a_backfill_with_an_end_reads_what_is_of_its_time_and_moves_no_cursor(
    vendor: str, tmp_path: Path
) -> None:
    table, column = DATED[vendor]
    since, until = START + timedelta(days=60), START + timedelta(days=90)
    with served(vendor, partial(simulate, size=25, months=5), tmp_path) as bench:
        bench.load()
        bench.write(f"update raw_{vendor}.{table} set _hash = 0")
        vars(bench.world).update(vars(simulate(size=25, months=5, now=bench.world.now + timedelta(days=3))))
        bench.load(backfill=Backfill(since, until=until))
        again = f"select id from raw_{vendor}.{table} where _hash <> 0"
        read = {key for (key,) in bench.rows(again)}
        assert read == told_within(bench, table, column, since, until) != set()
        report = bench.load()
        assert written(report)
        assert report.tables[table].extracted < report.tables[table].total / 2
        assert_same(bench)
        assert bench.rows(f"select id from raw_{vendor}.{table} where _hash = 0")


@pytest.mark.parametrize("vendor", HANDS)
def test_a_changed_type_freezes_its_table_until_it_is_mended(bench: Bench, vendor: str) -> None:
    path, table, field, column = HANDS[vendor].spoilt
    bench.begin()
    HANDS[vendor].changes["edit"](bench)
    before = held(bench)
    bench.fault(path, "flip_type", None, field=field)
    with pytest.raises(UserError, match=f"'{vendor}', table '{table}', column '{column}': the type changed"):
        bench.load()
    frozen = f"raw_{vendor}.{table}"
    assert held(bench)[frozen] == before[frozen]
    assert (bench.home.quarantine / vendor / f"{table}.jsonl").read_text()
    bench.clear_faults()
    bench.load()
    assert_same(bench)


@pytest.mark.parametrize("vendor", HANDS)
def test_a_new_field_is_announced_and_kept_beside_its_row(bench: Bench, vendor: str) -> None:
    path, table, _, _ = HANDS[vendor].spoilt
    bench.fault(path, "new_field", None, field="Score")
    warnings = bench.load().warnings
    assert any(f"table '{table}': new field(s) 'score'" in said.lower() for said in warnings)
    bench.clear_faults()
    extras = bench.rows(f"select distinct lower(_extra::text) from raw_{vendor}.{table}")
    assert extras == [('{"score":"new"}',)]
    assert_same(bench)


@pytest.mark.parametrize("vendor", HANDS)
def test_a_few_refusals_and_failures_are_ridden_out(bench: Bench, vendor: str) -> None:
    path = HANDS[vendor].spoilt[0]
    bench.fault(path, "429", seconds=3)
    bench.fault(path, "500", 2)
    bench.load()
    longest = max(after - before for before, after in pairwise(bench.served.moments))
    assert longest >= 3 or not HANDS[vendor].says  # Retry-After
    assert_same(bench)


@pytest.mark.parametrize("vendor", HANDS)
def test_a_lasting_fault_is_one_message_and_the_next_load_catches_up(bench: Bench, vendor: str) -> None:
    bench.begin()
    expected = HANDS[vendor].changes["edit"](bench)
    before = held(bench)
    for kind, says in (("401", "HTTP 401"), ("broken_json", "not valid JSON")):
        bench.fault(HANDS[vendor].spoilt[0], kind, None)
        with pytest.raises(UserError, match=f"source '{vendor}'.*{says}") as told:
            bench.load()
        assert "sandbox-" not in str(told.value).lower()
        assert held(bench) == before
        bench.clear_faults()
    assert bench.loaded() == expected
    assert_same(bench)
