"""How much each segment contributed to a KPI's change from one period to the next.

A sum changes by what its segments change by. A ratio N / D is the mean of its segments' own ratios, weighted
by their shares of D. So a segment contributes by its own ratio (rate) and by weighing more or less than then
(mix): with w its weight, r its ratio and R the mean of the whole's two ratios,

    rate = mean(w) x change(r)        mix = change(w) x (mean(r) - R)

Weights add up to 1 in both periods, so R cancels out and all rates and mixes together are the change.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from orchestration.reading import Row

#: Decimals of `kpi_values.value`.
UNITS = 10**12

_Part = tuple[Fraction, Fraction]


def contributions(answer: Row, before: list[Row], after: list[Row]) -> dict[str, list[Row]]:
    """By segment, each of its values with its numerator and denominator then and now, and its contribution.

    `before` and `after` are the records of both periods. Of every segment the contributions add up to
    `answer["change"]`, to its last decimal; rate and mix are those of a ratio. Greatest first.
    """
    asked = answer["segment"]
    names = dict.fromkeys(name for record in (*before, *after) for name in record["segments"])
    is_ratio = any(record["denominator"] is not None for record in (*before, *after))
    found = {}
    for name in names:
        if name == asked:
            continue
        then, now = _sums(before, name), _sums(after, name)
        rows = _ratio(then, now) if is_ratio else _sum(then, now)
        _round(rows, answer["change"])
        rows.sort(key=lambda row: (-abs(row["contribution"]), row["segment_value"]))
        found[name] = rows
    return found


def _sums(records: Iterable[Row], name: str) -> dict[str, _Part]:
    """Numerator and denominator of each of a segment's values."""
    found: dict[str, _Part] = {}
    for record in records:
        key = record["segments"].get(name, "(none)")
        numerator, denominator = found.get(key, (Fraction(0), Fraction(0)))
        found[key] = (
            numerator + Fraction(record["numerator"] or 0),
            denominator + Fraction(record["denominator"] or 0),
        )
    return found


def _sum(then: dict[str, _Part], now: dict[str, _Part]) -> list[Row]:
    return [
        _row(key, *_both(then, now, key))
        | {"contribution": now.get(key, _NOTHING)[0] - then.get(key, _NOTHING)[0]}
        for key in then.keys() | now.keys()
    ]


_NOTHING: _Part = (Fraction(0), Fraction(0))


def _both(then: dict[str, _Part], now: dict[str, _Part], key: str) -> tuple[_Part, _Part]:
    return then.get(key, _NOTHING), now.get(key, _NOTHING)


def _ratio(then: dict[str, _Part], now: dict[str, _Part]) -> list[Row]:
    wholes = [_whole(parts.values()) for parts in (then, now)]
    mean = sum((n / d for n, d in wholes), Fraction(0)) / 2
    rows = []
    for key in then.keys() | now.keys():
        parts = _both(then, now, key)
        weights = [part[1] / whole[1] for part, whole in zip(parts, wholes, strict=True)]
        shares = [part[0] / whole[1] for part, whole in zip(parts, wholes, strict=True)]
        contribution = shares[1] - shares[0] - mean * (weights[1] - weights[0])
        rate = Fraction(0)
        # Who was not there in one of the periods has no ratio to change.
        if all(part[1] for part in parts):
            rate = (weights[0] + weights[1]) / 2 * (parts[1][0] / parts[1][1] - parts[0][0] / parts[0][1])
        rows.append(
            _row(key, *parts) | {"contribution": contribution, "rate": rate, "mix": contribution - rate}
        )
    return rows


def _whole(parts: Iterable[_Part]) -> _Part:
    numerators, denominators = zip(*parts, strict=True)
    return sum(numerators, Fraction(0)), sum(denominators, Fraction(0))


def _row(key: str, then: _Part, now: _Part) -> Row:
    return {
        "segment_value": key,
        "previous_numerator": _decimal(then[0]),
        "previous_denominator": _decimal(then[1]),
        "numerator": _decimal(now[0]),
        "denominator": _decimal(now[1]),
    }


def _round(rows: list[Row], change: Decimal) -> None:
    """To the decimals of a value; what is left over goes to those that were cut the most."""
    exact = [row["contribution"] * UNITS for row in rows]
    floors = [value.numerator // value.denominator for value in exact]
    left = int(change * UNITS) - sum(floors)
    order = sorted(range(len(rows)), key=lambda i: (floors[i] - exact[i], rows[i]["segment_value"]))
    for place, i in enumerate(order):
        share = left // len(rows) + (place < left % len(rows))
        rows[i]["contribution"] = Decimal(floors[i] + share) / UNITS
        if "rate" in rows[i]:
            rows[i]["rate"] = _decimal(rows[i]["rate"])
            rows[i]["mix"] = rows[i]["contribution"] - rows[i]["rate"]


def _decimal(value: Fraction) -> Decimal:
    return Decimal(round(value * UNITS)) / UNITS
