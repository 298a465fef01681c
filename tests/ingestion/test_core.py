"""The loading core with a source of our own: types, unchanged rows, complete tables, crashes, lost state."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pytest
from dlt.common.storages.load_storage import LoadStorage
from vendor_bench import rows

from ingestion import changes, core, writing
from ingestion.arrow import to_arrow
from ingestion.core import TableSpec, load_source
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

NOW = datetime(2025, 6, 1, tzinfo=UTC)
COLUMNS = {
    "id": "text",
    "amount": "decimal",
    "seats": "bigint",
    "active": "bool",
    "day": "date",
    "at": "timestamp",
    "more": "json",
}


class Shop:
    """A source with one table read by cursor, one complete one, one that stays empty."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.config = SourceConfig(name="shop", silo="billing", type="shop")
        self.orders: Any = [self.order(key) for key in range(3)]
        self.tags = [{"tag": f"t{key}", "is_deleted": False} for key in range(60)]
        self.later: list[Any] = []
        self.items: list[Any] = []
        self.asked: list[datetime | None] = []
        self.tables = {
            "orders": TableSpec(
                "Orders.", ("id",), dict(COLUMNS), ignored=frozenset({"noise"}), newest_by="at"
            ),
            "tags": TableSpec("Tags.", ("tag",), {"tag": "text", "is_deleted": "bool"}, complete=True),
            "nothing": TableSpec("Nothing yet.", ("id",), {"id": "text", "amount": "decimal"}),
        }

    @staticmethod
    def order(key: int, **changed: Any) -> dict[str, Any]:
        shown = {"id": key, "amount": "10.50", "seats": 3, "active": "true", "day": "2025-01-05"}
        return {**shown, "at": "2025-01-05T10:00:00Z", "more": {"b": 1, "a": [2]}, "noise": 1, **changed}

    def source(self, config: SourceConfig, _as_of: datetime) -> Any:
        def orders(state: dict[str, Any]) -> Iterator[Any]:
            self.asked.append(changes.cursor_start(state, 10))
            yield self.orders
            yield from self.later
            if isinstance(self.orders, list):
                changes.advance_cursor(state, [order["at"] for order in self.orders])

        feeds = {"orders": orders, "tags": lambda _state: [self.tags], "nothing": lambda _state: [self.items]}
        return core.make_source(config, self.tables, feeds)

    def load(self) -> dict[str, int]:
        report = load_source(self.config, NOW, self.home)
        return {name: table.loaded for name, table in report.tables.items()}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.home.warehouse, query)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(tmp_path)
    module = ModuleType("ingestion.shop")
    module.source = made.source  # type: ignore[attr-defined]
    module.TABLES = made.tables  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ingestion.shop", module)
    return made


def test_values_take_their_declared_types_and_empty_tables_exist(shop: Shop) -> None:
    assert shop.load() == {"orders": 3, "tags": 60, "nothing": 0}
    assert shop.rows(
        'select id, amount, seats, active, day, "at", more::text from raw_shop.orders order by id'
    )[0] == (
        *("0", Decimal("10.50"), 3, True, date(2025, 1, 5)),
        *(datetime(2025, 1, 5, 10, tzinfo=UTC), '{"a":[2],"b":1}'),
    )
    assert shop.rows("select count(*) from raw_shop.nothing") == [(0,)]
    assert shop.rows(
        "select count(*) from raw_shop.orders where _dlt_load_id is null or _loaded_at is null"
    ) == [(0,)]


def test_only_changed_rows_are_loaded_and_the_cursor_keeps_its_lag(shop: Shop) -> None:
    shop.load()
    assert shop.load() == {"orders": 0, "tags": 0, "nothing": 0}
    shop.orders[1] = shop.order(1, amount="11")
    assert shop.load()["orders"] == 1
    assert shop.asked == [None, *[datetime(2025, 1, 5, 9, 50, tzinfo=UTC)] * 2]
    assert shop.rows("select amount from raw_shop.orders order by id") == [
        (Decimal("10.50"),),
        (Decimal("11"),),
        (Decimal("10.50"),),
    ]


def test_newest_of_one_key_wins_within_a_load(shop: Shop) -> None:
    shop.orders = [
        shop.order(0, seats=1, at="2025-02-01T00:00:00Z"),
        shop.order(0, seats=9, at="2025-03-01T00:00:00Z"),
        shop.order(0, seats=2, at="2025-01-01T00:00:00Z"),
    ]
    shop.load()
    assert shop.rows("select seats from raw_shop.orders") == [(9,)]


def test_a_key_that_comes_twice_in_a_first_load_is_kept_once(shop: Shop) -> None:
    shop.later = [[shop.order(0, seats=8, at="2025-03-01T00:00:00Z")], [shop.order(1)]]
    shop.load()
    assert shop.rows("select id, seats from raw_shop.orders order by id") == [("0", 8), ("1", 3), ("2", 3)]


@pytest.mark.parametrize("crash_in", ["keep_one", "write"])
def test_a_first_load_that_is_cut_off_leaves_nothing_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, crash_in: str
) -> None:
    shop.load()
    shop.home.warehouse.unlink()  # what is loaded now is a first load again
    shop.later = [[shop.order(0)]]

    def crash(*given: Any) -> None:
        if not writing.has_loaded(shop.home, "raw_shop"):
            if crash_in == "keep_one":
                return
            write(*given)  # all of it, but for dlt's note that it is done
            with duckdb.connect(str(shop.home.warehouse)) as warehouse:
                warehouse.execute("delete from raw_shop._dlt_loads")
        raise KeyboardInterrupt

    write = writing.write
    with monkeypatch.context() as patched:
        patched.setattr(writing, crash_in, crash)
        with pytest.raises(KeyboardInterrupt):
            shop.load()
    assert shop.rows("select count(*) from raw_shop.orders") == [(4,)]
    shop.load()
    assert shop.rows("select count(*), count(distinct id) from raw_shop.orders") == [(3, 3)]


def test_row_gone_from_a_complete_table_is_marked_and_comes_back(shop: Shop) -> None:
    shop.load()
    lost = shop.tags.pop()
    assert shop.load()["tags"] == 1
    assert shop.rows("select tag from raw_shop.tags where is_deleted") == [("t59",)]
    assert shop.load()["tags"] == 0
    shop.tags.append(lost)
    assert shop.load()["tags"] == 1
    assert shop.rows("select count(*) from raw_shop.tags where is_deleted") == [(0,)]


def test_complete_table_that_shrinks_suddenly_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.load()
    shop.tags = shop.tags[:30]
    with pytest.raises(UserError, match=r"'tags'.*30 of 60.*REVOPS_ALLOW_SHRINK"):
        shop.load()
    assert shop.rows("select count(*) from raw_shop.tags where is_deleted") == [(0,)]
    monkeypatch.setenv("REVOPS_ALLOW_SHRINK", "1")
    assert shop.load()["tags"] == 30


def test_new_field_is_announced_and_kept(shop: Shop) -> None:
    shop.load()
    shop.orders[0] = shop.order(0, colour="red")
    (warning,) = load_source(shop.config, NOW, shop.home).warnings
    assert warning.startswith("source 'shop', table 'orders': new field(s) 'colour', kept in _extra")
    assert shop.rows("select id, _extra ->> 'colour' from raw_shop.orders where _extra is not null") == [
        ("0", "red")
    ]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("amount", "ten", r"'amount'.*from decimal to text"),
        ("amount", ["10"], r"'amount'.*from decimal to list"),
        ("seats", 1.5, r"'seats'.*from bigint to double"),
        ("active", "perhaps", r"'active'.*from bool to text"),
        ("at", "soon", r"'at'.*from timestamp to text"),
        ("id", {"a": 1}, r"'id'.*from text to object"),
    ],
)
def test_a_type_flip_freezes_its_table_and_no_other(
    shop: Shop, column: str, value: Any, message: str
) -> None:
    good, flipped = shop.order(9, at="2025-02-01T00:00:00Z"), shop.order(1, **{column: value})
    for tags in (60, 61):  # a first load, then a later one
        shop.orders, shop.tags = [good, flipped], [{"tag": f"t{key}"} for key in range(tags)]
        with pytest.raises(UserError, match=f"source 'shop', table 'orders', column {message}"):
            shop.load()
        assert shop.rows("select count(*) from raw_shop.orders") == [(0,)]
        assert shop.rows("select count(*) from raw_shop.tags") == [(tags,)]
    shop.orders = [good]
    assert shop.load()["orders"] == 1
    assert set(shop.asked) == {None}  # its cursor stood still


def test_a_flip_in_a_later_batch_takes_back_the_earlier_ones(shop: Shop) -> None:
    shop.load()
    shop.orders, shop.later = [shop.order(5)], [[shop.order(6, seats="many")]]
    with pytest.raises(UserError, match=r"'seats'.*from bigint to text"):
        shop.load()
    assert shop.rows("select id from raw_shop.orders order by id") == [("0",), ("1",), ("2",)]


def test_a_frozen_table_holds_back_the_cursors_of_others_and_the_table_it_is_told_by(shop: Shop) -> None:
    shop.tables["tags"] = replace(shop.tables["tags"], told_by="nothing")
    shop.load()
    shop.orders, shop.items = [shop.order(5, at="2025-03-01T00:00:00Z")], [{"id": "n", "amount": "1"}]
    shop.tags[0]["is_deleted"] = "perhaps"
    with pytest.raises(UserError, match=r"table 'tags', column 'is_deleted'"):
        shop.load()
    assert shop.rows("select count(*) from raw_shop.orders") == [(4,)]
    assert shop.rows("select count(*) from raw_shop.nothing") == [(0,)]
    shop.tags[0]["is_deleted"] = False
    assert shop.load() == {"orders": 0, "tags": 0, "nothing": 1}
    before = datetime(2025, 1, 5, 9, 50, tzinfo=UTC)
    assert set(shop.asked) == {None, before}


def test_rows_that_freeze_a_table_are_kept_aside_until_it_loads(shop: Shop) -> None:
    shop.load()
    shop.orders[1] = shop.order(1, amount="ten")
    kept = shop.home.quarantine / "shop" / "orders.jsonl"
    with pytest.raises(UserError, match=rf"1 such row\(s\) are kept in {kept}"):
        shop.load()
    (line,) = kept.read_text().splitlines()
    assert json.loads(line)["amount"] == "ten"
    assert kept.stat().st_mode & 0o077 == 0  # it may be about people
    shop.orders[1] = shop.order(1, amount="10")
    assert shop.load()["orders"] == 1
    assert not kept.exists()


def test_a_backfill_reads_again_from_when_it_is_told(shop: Shop) -> None:
    shop.load()
    since = datetime(2024, 1, 1, tzinfo=UTC)
    for table in (None, "orders", "tags"):
        load_source(shop.config, NOW, shop.home, changes.Backfill(since, table))
    shop.load()
    cursor = datetime(2025, 1, 5, 9, 50, tzinfo=UTC)
    assert shop.asked == [None, since, since, cursor, cursor]


def test_column_declared_anew_with_another_type_is_refused(shop: Shop) -> None:
    shop.load()
    shop.tables["orders"].columns["seats"] = "text"
    with pytest.raises(UserError, match=r"table 'orders', column 'seats'.*Drop the table raw_shop.orders"):
        shop.load()
    assert shop.rows("select typeof(seats) from raw_shop.orders limit 1") == [("BIGINT",)]


def test_added_column_loads_and_fills_what_is_read_again(shop: Shop) -> None:
    shop.load()
    shop.tables["orders"].columns["noise"] = "bigint"
    assert shop.load()["orders"] == 3
    assert shop.rows("select distinct noise from raw_shop.orders") == [(1,)]


def test_row_gone_while_a_column_is_added_is_marked(shop: Shop) -> None:
    shop.load()
    del shop.tags[0]
    for tag in shop.tags:
        tag["since"] = "2025-01-05T10:00:00Z"
    shop.tables["tags"].columns["since"] = "timestamp"
    assert shop.load()["tags"] == 60
    assert shop.rows("select tag, since from raw_shop.tags where is_deleted") == [("t0", None)]
    assert shop.load()["tags"] == 0


def test_arrow_batches_are_cast_and_compared_too(shop: Shop) -> None:
    shop.orders = pa.table({"id": ["a", "b"], "amount": ["1.25", "2"], "seats": pa.array([1, 2], pa.int32())})
    assert shop.load()["orders"] == 2
    assert shop.load()["orders"] == 0
    assert shop.rows("select amount, seats, day from raw_shop.orders where id = 'a'") == [
        (Decimal("1.25"), 1, None)
    ]
    shop.orders = pa.table({"id": ["c"], "noise": [1], "colour": ["red"]})
    shop.load()
    shop.orders = to_arrow("orders", COLUMNS, [{"id": "d", "colour": "blue"}])
    shop.load()
    assert shop.rows("select id, _extra::text from raw_shop.orders where _extra is not null order by id") == [
        ("c", '{"colour":"red"}'),
        ("d", '{"colour":"blue"}'),
    ]
    shop.orders = pa.table({"id": ["a"], "seats": ["many"]})
    with pytest.raises(UserError, match=r"'seats'.*from bigint to string"):
        shop.load()


def test_package_left_by_a_crash_is_loaded_before_anything_new(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.load()
    shop.orders = [shop.order(7, at="2025-04-01T00:00:00Z")]

    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dlt.Pipeline, "load", crash)
        with pytest.raises(KeyboardInterrupt):
            shop.load()
    shop.orders = []

    assert shop.load()["orders"] == 0
    assert shop.rows("select id from raw_shop.orders order by id") == [("0",), ("1",), ("2",), ("7",)]


def test_a_package_that_is_both_extracted_and_normalized_is_read_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.load()
    shop.orders = [shop.order(7, at="2025-04-01T00:00:00Z")]
    commit = LoadStorage.commit_new_load_package

    def crash(*given: Any) -> None:
        commit(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LoadStorage, "commit_new_load_package", crash)
        with pytest.raises(KeyboardInterrupt):
            shop.load()
    assert shop.load()["orders"] == 1
    assert shop.rows("select id from raw_shop.orders order by id") == [("0",), ("1",), ("2",), ("7",)]


def test_state_follows_the_warehouse_when_either_is_deleted(shop: Shop) -> None:
    shop.load()
    shutil.rmtree(shop.home.dlt)
    assert shop.load()["orders"] == 0
    shop.home.warehouse.unlink()
    assert shop.load() == {"orders": 3, "tags": 60, "nothing": 0}
    assert shop.asked == [None, datetime(2025, 1, 5, 9, 50, tzinfo=UTC), None]
