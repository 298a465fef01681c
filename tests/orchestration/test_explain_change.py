"""Contributions add up to the change, whatever comes and goes between two periods."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from orchestration.explain_change import UNITS, contributions


def record(team: str, numerator: str, denominator: str | None) -> dict[str, Any]:
    return {
        "segments": {"team": team},
        "numerator": Decimal(numerator),
        "denominator": None if denominator is None else Decimal(denominator),
    }


def value(records: list[dict[str, Any]]) -> Decimal:
    numerator = sum(Fraction(row["numerator"]) for row in records)
    if records[0]["denominator"] is None:
        return Decimal(int(numerator * UNITS)) / UNITS
    return Decimal(round(numerator / sum(Fraction(row["denominator"]) for row in records) * UNITS)) / UNITS


def explained(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    change = value(after) - value(before)
    rows = contributions({"segment": "all", "change": change}, before, after)["team"]
    assert sum((row["contribution"] for row in rows), Decimal(0)) == change
    return rows


def test_a_ratio_moves_by_the_rates_of_its_segments_and_by_their_weights() -> None:
    """A won 5 of 10 and still does; B won 1 of 10, then 1 of 5: it weighs less, and wins more often."""
    rows = {
        row["segment_value"]: row
        for row in explained(
            [record("A", "5", "10"), record("B", "1", "10")], [record("A", "5", "10"), record("B", "1", "5")]
        )
    }
    # Weights 1/2 -> 2/3 and 1/2 -> 1/3; the whole 0.3 -> 0.4, on average 0.35.
    assert rows["A"]["rate"] == 0
    assert rows["A"]["mix"] == Decimal("0.025")
    assert rows["B"]["rate"] == pytest.approx(Decimal(5) / 12 / 10)
    assert rows["B"]["mix"] == pytest.approx(Decimal("0.2") / 6)
    assert (rows["B"]["previous_denominator"], rows["B"]["denominator"]) == (10, 5)


def test_a_sum_moves_by_what_its_segments_move_by() -> None:
    rows = explained([record("A", "5", None), record("B", "1.5", None)], [record("A", "7", None)])
    assert [(row["segment_value"], row["contribution"]) for row in rows] == [("A", 2), ("B", Decimal("-1.5"))]
    assert "rate" not in rows[0]


@pytest.mark.parametrize("seed", range(50))
def test_contributions_add_up_to_the_last_decimal(seed: int) -> None:
    """Segments without a denominator, or in one period only, among them."""
    chance = random.Random(seed)

    def period() -> list[dict[str, Any]]:
        teams = chance.sample("ABCDEFG", chance.randint(1, 7))
        rows = [record(t, str(chance.randint(0, 99999) / 100), str(chance.randint(0, 30))) for t in teams]
        return [*rows, record("H", "1", "7")]

    for row in explained(period(), period()):
        assert row["rate"] + row["mix"] == row["contribution"]
