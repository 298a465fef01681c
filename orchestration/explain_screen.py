"""What `revops explain` shows on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.reading import Row
from orchestration.screens import figure
from settings.errors import UserError

#: Records and values of a segment shown; JSON and CSV have all.
MOST = 10


def parts(answer: Row) -> Iterator[RenderableType]:
    """An answer of `orchestration.explain`, part by part."""
    yield _title(answer)
    yield _figures(answer)
    if answer["made_of"]:
        yield _made_of(answer)
        return
    yield _records(answer)
    if answer["change"] is None:
        yield "No change to explain: this period or the one before it has no value."
        return
    for segment, rows in answer["segments"].items():
        yield _contributions(answer, segment, rows)


def record_rows(answer: Row) -> list[Row]:
    """The records behind a figure, flat, for a CSV file. Raises `UserError` for a KPI that has none."""
    if answer["records"] is None:
        raise UserError(
            f"{answer['kpi']} is no sum over records, so it has none to write. Explain what it is made of:"
            f" {answer['made_of']}"
        )
    return [
        {
            **{key: value for key, value in row.items() if key != "segments"},
            **{f"segment_{name}": value for name, value in row["segments"].items()},
        }
        for row in answer["records"]
    ]


def _title(answer: Row) -> str:
    whose = "" if answer["segment"] == "all" else f", {answer['segment']} {answer['segment_value']}"
    policies = f"Policies {answer['policies']}: docs/kpis.md. " if answer["policies"] else ""
    return (
        f"[bold]{answer['kpi']}[/bold]  {escape(answer['period_name'] + whose)}\n"
        f"{escape(answer['formula'])}\n"
        f"{policies}{answer['owner_team'].capitalize()} answers for it; better is {answer['better']}."
    )


def _figures(answer: Row) -> Table:
    table = Table("", "value", "numerator", "denominator", "coverage", "gates")
    previous = answer["previous"]
    for name, row in ((answer["period_name"], answer), ("the period before", previous)):
        if row is None:
            table.add_row(name, "-", "-", "-", "-", "-")
            continue
        table.add_row(
            *(name, figure(row["value"], answer["unit"]), plain(row["numerator"])),
            *(plain(row["denominator"]), f"{row['coverage']:.1%}", row["gate_status"]),
        )
    table.add_row("change", _signed(answer["change"], answer["unit"]), "", "", "", "")
    return table


def _made_of(answer: Row) -> Table:
    table = Table(answer["kpi"] + " is no sum over records; near to it", "value", "the period before")
    for part in answer["parts"]:
        table.add_row(part["kpi"], plain(part["value"]), plain(part["previous"]))
    table.caption = f"Explain one of them: revops explain {answer['parts'][0]['kpi']}"
    return table


def _records(answer: Row) -> Table:
    records = answer["records"]
    table = Table("record", "key", "name", "on", "numerator", "denominator", title_justify="left")
    table.title = f"Records: {len(records)}, {escape(answer['counts'])}"
    for row in records[:MOST]:
        key = " ".join(part for part in (row["source"], row["record_id"]) if part)
        table.add_row(
            *(row["record_type"], escape(key), escape(row["name"] or "-"), f"{row['happened_on']}"),
            *(plain(row["numerator"]), plain(row["denominator"])),
        )
    if len(records) > MOST:
        table.caption = f"{len(records) - MOST} more are in --format csv and --format json"
    return table


def _contributions(answer: Row, segment: str, rows: list[Row]) -> Table:
    title = f"What each {segment} contributed to {_signed(answer['change'], answer['unit'])}"
    table = Table(segment, "then", "now", "contributed", title=title, title_justify="left")
    is_ratio = bool(rows) and "rate" in rows[0]
    if is_ratio:
        table.add_column("by its own rate")
        table.add_column("by its weight")
    for row in rows[:MOST]:
        split = [_signed(row[part], answer["unit"]) for part in ("rate", "mix")] if is_ratio else []
        table.add_row(
            *(escape(row["segment_value"]), _part(row, "previous_", is_ratio), _part(row, "", is_ratio)),
            *(_signed(row["contribution"], answer["unit"]), *split),
        )
    rest = rows[MOST:]
    if rest:
        total = sum((row["contribution"] for row in rest), Decimal(0))
        table.add_row(f"{len(rest)} more", "", "", _signed(total, answer["unit"]))
    return table


def _part(row: Row, prefix: str, is_ratio: bool) -> str:
    over = f" / {plain(row[prefix + 'denominator'])}" if is_ratio else ""
    return f"{plain(row[prefix + 'numerator'])}{over}"


def plain(value: Decimal | None) -> str:
    """A number without the noughts of its column."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.4f}".rstrip("0")


def _signed(value: Decimal | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{'+' if value > 0 else ''}{value * 100:,.2f} points" if unit == "ratio" else f"{value:+,.2f}"
