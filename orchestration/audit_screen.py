"""The process audit on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from orchestration.reading import Row
from orchestration.screens import figure

#: Finding -> what is found, what it is found among, and what mends it.
FINDINGS = {
    "skipped_stage": ("stage skipped", "visits", "make the stage's exit a required field, or drop the stage"),
    "missing_field": ("field empty", "closed deals", "require the field where deals close"),
    "idle_opportunity": ("deal idle for 30 days", "open deals", "get in touch, or close it"),
    "late_billing": ("won, billed late", "wins", "hand a deal to finance on the day it is won"),
    "late_response": ("lead answered late", "leads", "give each new lead an owner and an alarm"),
    "unused_table": ("no record for 90 days", "tables", "use it, or stop paying for it"),
    "idle_user": ("user without any activity", "users", "log the work, or give the licence back"),
    "unowned_activity": ("activity of nobody", "activities", "log work under one's own name"),
    "double_mail": ("mailed by campaign and by hand", "mails by hand", "stop sequences once a rep writes"),
    "duplicate_people": ("person entered again", "people created", "search before creating; merge them"),
    "duplicate_accounts": ("company entered again", "accounts created", "search before creating; merge them"),
    "entered_twice": (
        "customer typed into both tools",
        "customers",
        "create it in one, let the sync do the other",
    ),
}


def parts(rows: list[Row], currency: str) -> Iterator[Any]:
    """The table, and a line that says what is worth mending first."""
    if not rows:
        yield "Nothing is found: no stage skipped, no field missing, nothing late."
        return
    table = Table(
        title=f"Quarter of {rows[0]['quarter']:%b %Y}: where the process breaks", title_justify="left"
    )
    for column in ("", "team", "what", "where"):
        table.add_column(column, overflow="fold")
    for column in ("found", "share", "quarter before", "money", "quarter before"):
        table.add_column(column, justify="right")
    for row in rows:
        what, among, _ = FINDINGS.get(row["finding"], (row["finding"], "", ""))
        before = row["found_before"]
        table.add_row(
            *(str(row["rank"]), row["team"], what, row["detail"]),
            f"{row['found']:,} of {row['base']:,} {among}",
            figure(row["share"], "ratio"),
            "-" if before is None else f"{before:,}, {figure(row['share_before'], 'ratio')}",
            _money(row["money"], currency),
            _money(row["money_before"], currency),
        )
    yield table
    yield first(rows, currency)


def first(rows: list[Row], currency: str) -> str:
    """What to mend first: what is worth most, else what happens most often."""
    row = max(
        (row for row in rows if row["found"]), key=lambda row: (row["money"] or 0, -row["rank"]), default=None
    )
    if row is None:
        return "Nothing is left to mend of what was found in the quarter before."
    what, among, fix = FINDINGS.get(row["finding"], (row["finding"], "", ""))
    worth = f", {_money(row['money'], currency)}" if row["money"] else ""
    return (
        f"Worth mending first: {what} ({row['detail']}, {row['team']}): {row['found']:,} of {row['base']:,} "
        f"{among}{worth}. {fix[:1].upper()}{fix[1:]}."
    )


def _money(amount: Any, currency: str) -> str:
    return f"{amount:,.2f} {currency}" if amount else "-"
