"""What the commands show on a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from orchestration.reading import PERIODS, Row

LATEST_PERIODS = 6
LATEST_WEEKS = 8


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str, str, int], None]]:
    """A bar a step on a terminal, nothing elsewhere; yields what is to be told of steps (`run.Watcher`)."""
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def tell(step: str, what: str, tables: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step.replace("_", " "), total=tables)
        if what == "writes":
            bars.advance(tasks[step])
        elif what == "ends":
            bars.update(tasks[step], completed=tables)
            bars.stop_task(tasks[step])
        elif what == "fails":
            bars.update(tasks[step], description=f"[red]{step.replace('_', ' ')}")
            bars.stop_task(tasks[step])

    with bars:
        yield tell


def loaded(sources: dict[str, dict[str, dict[str, int]]]) -> Table:
    """Rows by source and table of a run."""
    table = Table("source", "table", title="Loaded", title_justify="left")
    for column in ("rows read", "new or changed", "in all"):
        table.add_column(column, justify="right")
    for source, tables in sources.items():
        for name, rows in tables.items():
            if not name.startswith("_"):
                counts = (f"{rows[kind]:,}" for kind in ("read", "loaded", "total"))
                table.add_row(source, name, *counts)
        table.add_section()
    return table


def gaps_by_severity(gates: Iterable[Row]) -> Table:
    """How many gaps of each type the run found, worst first."""
    table = Table("severity", "gap", title="Gaps between the silos", title_justify="left")
    table.add_column("found", justify="right")
    table.add_column("money at risk", justify="right")
    table.add_column("KPIs")
    order = {"critical": 0, "high": 1, "medium": 2}
    found = sorted((g for g in gates if g["found"]), key=lambda g: (order[g["severity"]], g["gap_type"]))
    for gate in found:
        money = Decimal(gate["money_at_risk"])
        table.add_row(
            gate["severity"],
            gate["gap_type"],
            f"{gate['found']:,}",
            f"{money:,.2f}" if money else "-",
            "held back" if gate["holds"] else "",
        )
    if not found:
        table.add_row("-", "none found", "0", "-", "")
    return table


def kpis(rows: list[Row], title: str) -> Table:
    """KPIs down, periods across: the latest of each length, or the last few of the one asked for."""
    periods = _periods(rows)
    by_segment = any(row["segment"] != "all" for row in rows)
    table = Table("KPI", title=title, title_justify="left")
    if by_segment:
        table.add_column(rows[0]["segment"])
    for period in periods:
        table.add_column(_period_name(*period), justify="right")
    cells: dict[tuple[str, str], dict[tuple[str, date], str]] = {}
    for row in rows:
        line = cells.setdefault((row["kpi"], row["segment_value"]), {})
        cell = figure(row["value"], row["unit"])
        if row.get("gate_status") == "held":
            cell += " (held)"
        if row["value"] != row.get("restated", row["value"]):
            cell += f" (now {figure(row['restated'], row['unit'])})"
        line[row["period"], row["period_start"]] = cell
    for (kpi, segment), line in cells.items():
        shown = [line.get(period, "") for period in periods]
        table.add_row(kpi, *([segment] if by_segment else []), *shown)
    return table


def _periods(rows: list[Row]) -> list[tuple[str, date]]:
    starts: dict[str, set[date]] = {}
    for row in rows:
        starts.setdefault(row["period"], set()).add(row["period_start"])
    shown = 1 if len(starts) > 1 else LATEST_PERIODS
    return [(period, start) for period in PERIODS for start in sorted(starts.get(period, set()))[-shown:]]


def _period_name(period: str, start: date) -> str:
    names = {
        "month": f"{start:%b %Y}",
        "quarter": f"quarter of {start:%b %Y}",
        "year": f"year of {start:%b %Y}",
        "all": f"since {start:%b %Y}",
    }
    return names[period]


def figure(value: Decimal | None, unit: str) -> str:
    """A KPI's value in its unit."""
    if value is None:
        return "-"
    if unit == "ratio":
        return f"{value:.1%}"
    if unit in ("days", "months"):
        return f"{value:.1f} {unit}"
    if unit == "times":
        return f"{value:.1f} x"
    if unit == "accounts":
        return f"{value:,.0f}"
    return f"{value:,.2f} {unit}" if unit.isupper() or "/" in unit else f"{value:,.2f}"


def bottlenecks(rows: list[Row], currency: str) -> Table:
    """Where revenue is stuck, most of it first."""
    stuck = [row for row in rows if row["stuck"]]
    total = sum(row["revenue_stuck"] for row in stuck)
    table = Table(
        title=f"Quarter of {rows[0]['quarter']:%b %Y}: {total:,.2f} {currency} stuck in {len(stuck)} places",
        title_justify="left",
    )
    for column in ("", "stage", "team"):
        table.add_column(column)
    for column in ("stuck", "deals", "waiting", "deals", "usual days", "days this quarter", "conversion"):
        table.add_column(column, justify="right")
    for row in stuck:
        days = row["median_days"]
        table.add_row(
            *(str(row["rank"]), row["step"] if row["stage"] == "(none)" else row["stage"], row["team"]),
            *(f"{row['revenue_stuck']:,.2f}", str(row["stuck"])),
            *(f"{row['waiting_amount']:,.2f}", str(row["waiting"])),
            *(str(row["usual_days"]), "-" if days is None else str(days), figure(row["conversion"], "ratio")),
        )
    return table


def gaps(rows: list[Row]) -> Table:
    """The register."""
    table = Table(title=f"{len(rows)} gaps", title_justify="left")
    columns = ("severity", "gap", "left", "right", "account", "owner", "since", "accepted by")
    for column in columns:
        table.add_column(column, overflow="fold")
    table.add_column("money at risk", justify="right")
    for row in rows:
        left = (row["silo_left"], row["key_left"], row["value_left"])
        right = (row["silo_right"], row["key_right"], row["value_right"])
        money = row["money_at_risk"]
        table.add_row(
            *(row["severity"], row["gap_type"], _joined(left), _joined(right)),
            *(row["account"] or "-", row["owner_team"]),
            f"{row['first_seen_at']:%Y-%m-%d}{', again' if row['reopened'] else ''}",
            f"{row['accepted_by']}: {row['accepted_because']}" if row["accepted_at"] else "-",
            f"{money:,.2f} {row['currency']}" if money else "-",
        )
    return table


def gap_trend(rows: list[Row], currency: str) -> Table:
    """The register of the last weeks."""
    weeks = sorted({row["week"] for row in rows})[-LATEST_WEEKS:]
    table = Table("week of", "owner", "left", "right", title="Gaps by week", title_justify="left")
    for column in ("new", "came back", "resolved", "open", "money at risk", "oldest"):
        table.add_column(column, justify="right")
    for week in weeks:
        for row in (row for row in rows if row["week"] == week):
            age = row["oldest_age_days"]
            table.add_row(
                *(f"{week:%Y-%m-%d}", row["owner_team"], row["silo_left"], row["silo_right"]),
                *(f"{row['opened'] - row['reopened']:,}", f"{row['reopened']:,}", f"{row['resolved']:,}"),
                *(
                    f"{row['open']:,}",
                    f"{row['money_at_risk']:,.2f} {currency}" if row["money_at_risk"] else "-",
                ),
                "-" if age is None else f"{age:,} day{'' if age == 1 else 's'}",
            )
        table.add_section()
    return table


def _joined(parts: Iterable[str | None]) -> str:
    return " ".join(part for part in parts if part) or "-"


def sources(rows: list[Row]) -> Table:
    """Each configured source and how it is."""
    table = Table("source", "silo", "type", "reachable", "last load", title="Sources", title_justify="left")
    table.add_column("rows", justify="right")
    table.add_column("lag", justify="right")
    table.add_column("complete")
    table.add_column("used", justify="right")
    table.add_column("tables nothing reads")
    for row in rows:
        lag = row["lag_hours"]
        table.add_row(
            *(row["source"], row["silo"], row["type"], row["reachable"]),
            f"{row['last_load']:%Y-%m-%d %H:%M}" if row["last_load"] else "never",
            f"{sum(row['rows'].values()):,}",
            f"{lag:.1f} h" if lag is not None else "-",
            _completeness(row["counted"]),
            f"{row['used_tables']}/{row['tables']}",
            ", ".join(row["unused_tables"]) or "-",
        )
    return table


def _completeness(counted: dict[str, dict[str, int]]) -> str:
    """By the source's own counts; a source that cannot count says nothing."""
    short = [
        f"{t} {n['here']:,} of {n['at_source']:,}" for t, n in counted.items() if n["here"] != n["at_source"]
    ]
    if short:
        return ", ".join(short)
    return f"{', '.join(counted)}: all" if counted else "-"


def as_csv(rows: list[Row]) -> str:
    """Rows as CSV with a header."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}
            writer.writerow(plain)
    return out.getvalue()
