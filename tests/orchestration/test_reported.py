"""What was published first of a complete period stays, whatever is published later."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from kpi_tables import KPIS

from orchestration.publish import publish
from settings.paths import Home

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.marts.mkdir(parents=True)
    return found


def run(
    home: Home, as_of: datetime, teams: dict[date, dict[str, int]], status: str = "passed"
) -> dict[date, dict[str, int]]:
    """Won deals by month and team, published as of an instant; gives what was published first, by month."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{home.warehouse}' as warehouse")
        connection.execute("use warehouse")
        for table, columns in KPIS.items():
            connection.execute(f"create schema if not exists {table.split('.')[0]}")
            connection.execute(f"create or replace table {table} ({columns})")
        connection.execute(
            "insert into core.calendar values ('all', '2026-01-01', '2026-03-01', true),"
            " ('month', '2026-01-01', '2026-02-01', $january),"
            " ('month', '2026-02-01', '2026-03-01', $february)",
            {"january": as_of.month >= 2, "february": as_of.month >= 3},
        )
        for month, won in teams.items():
            for segment, value, count in (
                ("all", "all", sum(won.values())),
                *(("team", team, n) for team, n in won.items()),
            ):
                for period in ("month", "all"):
                    connection.execute(
                        "insert into marts.kpi_values values ('won', ?, ?, ?, ?, ?, 1, ?, 'deals', 1, ?)",
                        [period, month, segment, value, count, count, status],
                    )
            connection.execute(
                "insert into core.kpi_records select 'won', 'month', ?, 'deal', 'hub', n::text, null,"
                " map {'team': 'x'}, 1, null from range(?) as deals (n)",
                [month, sum(won.values())],
            )
    publish(home, as_of)
    return first(home)


def first(home: Home) -> dict[date, dict[str, int]]:
    found: dict[date, dict[str, int]] = {}
    with duckdb.connect(str(home.marts / "current.duckdb"), read_only=True) as marts:
        for month, team, value in marts.execute(
            "select period_start, segment_value, value::int from marts.kpi_reported order by all"
        ).fetchall():
            found.setdefault(month, {})[team] = value
    return found


def kept(home: Home, table: str) -> list[Any]:
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        return warehouse.execute(
            f"select period_start, count(*) from reported.{table} group by all"
        ).fetchall()


def on(month: int, day: int = 1) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


def test_a_complete_period_is_frozen_with_its_segments(home: Home) -> None:
    assert run(home, on(1, 20), {JANUARY: {"x": 2}}) == {}
    assert run(home, on(2), {JANUARY: {"x": 3}}) == {JANUARY: {"all": 3, "x": 3}}
    restated = {JANUARY: {"x": 2, "y": 5}, FEBRUARY: {"y": 1}}
    assert run(home, on(2, 20), restated) == {JANUARY: {"all": 3, "x": 3}}
    both = {JANUARY: {"all": 3, "x": 3}, FEBRUARY: {"all": 1, "y": 1}}
    assert run(home, on(3), restated) == both
    assert run(home, on(3, 20), {FEBRUARY: {"y": 9}}) == both
    assert sorted(kept(home, "kpi_records")) == [(JANUARY, 3), (FEBRUARY, 1)]
    with duckdb.connect(str(home.marts / "current.duckdb"), read_only=True) as marts:
        when = marts.execute("select period_start, max(reported_at) from marts.kpi_reported group by all")
        assert sorted((month, at.astimezone(UTC)) for month, at in when.fetchall()) == [
            (JANUARY, on(2)),
            (FEBRUARY, on(3)),
        ]


@pytest.mark.parametrize("lost", ["marts", "warehouse.duckdb"])
def test_neither_the_marts_nor_the_warehouse_is_needed_to_remember(home: Home, lost: str) -> None:
    run(home, on(2), {JANUARY: {"x": 3}})
    if lost == "marts":
        shutil.rmtree(home.marts)
        home.marts.mkdir()
    else:
        home.warehouse.unlink()
    assert run(home, on(2, 9), {JANUARY: {"x": 4}}) == {JANUARY: {"all": 3, "x": 3}}
    assert kept(home, "kpi_reported") == [(JANUARY, 2)]


def test_a_crash_before_the_warehouse_remembers_is_made_up_for(home: Home) -> None:
    run(home, on(2), {JANUARY: {"x": 3}})
    with duckdb.connect(str(home.warehouse)) as warehouse:
        warehouse.execute("drop schema reported cascade")
    assert run(home, on(2, 9), {JANUARY: {"x": 4}}) == {JANUARY: {"all": 3, "x": 3}}
    assert kept(home, "kpi_reported") == [(JANUARY, 2)]
    assert kept(home, "kpi_records") == []  # those of then are not known any more


def test_records_of_what_ended_long_ago_are_not_kept(home: Home) -> None:
    assert run(home, on(6), {JANUARY: {"x": 3}, FEBRUARY: {"x": 1}}).keys() == {JANUARY, FEBRUARY}
    assert kept(home, "kpi_records") == [(FEBRUARY, 1)]


def test_what_a_gate_holds_keeps_its_last_good_value_and_is_reported_when_it_is_free(home: Home) -> None:
    assert run(home, on(2), {JANUARY: {"x": 3}}, "held") == {}
    assert published(home) == {
        ("month", JANUARY, "all"): (None, "held"),
        ("month", JANUARY, "x"): (None, "held"),
    }
    assert run(home, on(2, 2), {JANUARY: {"x": 2}}) == {JANUARY: {"all": 2, "x": 2}}
    both = {JANUARY: {"x": 7}, FEBRUARY: {"y": 1}}
    for day in (1, 2):
        assert run(home, on(3, day), both, "held") == {JANUARY: {"all": 2, "x": 2}}
        assert published(home) == {
            ("month", JANUARY, "all"): (2, "held"),
            ("month", JANUARY, "x"): (2, "held"),
            ("month", FEBRUARY, "all"): (None, "held"),
            ("month", FEBRUARY, "y"): (None, "held"),
        }
    assert run(home, on(3, 3), both) == {JANUARY: {"all": 2, "x": 2}, FEBRUARY: {"all": 1, "y": 1}}
    assert published(home)["month", JANUARY, "x"] == (7, "passed")


def published(home: Home) -> dict[tuple[str, date, str], tuple[int | None, str]]:
    with duckdb.connect(str(home.marts / "current.duckdb"), read_only=True) as marts:
        return {
            key: tuple(figures)
            for *key_parts, figures in marts.execute(
                "select period, period_start, segment_value, (value::int, gate_status) from marts.kpi_values"
                " where period = 'month'"
            ).fetchall()
            if (key := tuple(key_parts))
        }
