"""What `revops who` shows on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.reading import Row

#: Matches and people shown; JSON has all.
MOST = 20


def parts(answer: Row) -> Iterator[RenderableType]:
    """An answer of `orchestration.who`, part by part; of an unknown query nothing."""
    if answer["status"] == "ambiguous":
        yield from _ambiguous(answer)
    elif answer["status"] == "found":
        yield _title(answer)
        if answer["records"]:
            yield _records(answer["records"])
        yield _people(answer["people"])
        yield _funnel(answer["funnel"])
        if answer["for_review"]:
            yield _for_review(answer["for_review"])


def unknown(answer: Row) -> str:
    """That nobody fits, and who is near."""
    near = [f"{row['handle']} ({row['what']})" for row in answer["suggestions"]]
    hint = (
        f"Did you mean {', '.join(near)}?" if near else "Give a domain, name, address, or an id of any silo."
    )
    return f"nobody is known as {answer['query']!r}. {hint}"


def _ambiguous(answer: Row) -> Iterator[RenderableType]:
    matches = answer["matches"]
    table = Table("account", "name", "domain", "known by", title_justify="left")
    table.title = escape(f"{answer['query']!r} is {len(matches)} accounts or people")
    for match in matches[:MOST]:
        known_by = ", ".join(match["matched"])
        table.add_row(*_cells(match["account"] or match["person"], match["name"], match["domain"], known_by))
    yield table
    more = f" {len(matches) - MOST} more are in --format json." if len(matches) > MOST else ""
    yield escape(f"Ask for one of them by what is in the first column: revops who {_first(matches)}.{more}")


def _first(matches: list[Row]) -> str:
    return str(matches[0]["account"] or matches[0]["person"])


def _title(answer: Row) -> str:
    if answer["account"] is None:
        return "No account: neither the CRM nor billing has a record of the company."
    known = [answer["domain"], answer["country"], answer["account"]]
    name = answer["name"] or "(no name)"
    return f"[bold]{escape(name)}[/bold]  {escape(', '.join(part for part in known if part))}"


def _records(records: list[Row]) -> Table:
    table = Table("silo", "record", "name", "since", "why", "score", "evidence", title="Records")
    table.title_justify = "left"
    for row in records:
        deleted = " (deleted)" if row["is_deleted"] else ""
        score = "-" if row["score"] is None else f"{row['score']:.2f}"
        why = "first or only one" if row["method"] == "none" else row["method"].replace("_", " ")
        table.add_row(
            *_cells(row["silo"], f"{row['source']} {row['record_id']}{deleted}", row["name"]),
            *_cells(_when(row["created_at"]), why, score, row["evidence"]),
        )
    return table


def _people(people: list[Row]) -> Table:
    table = Table("person", "addresses", "known as", title=f"People: {len(people)}", title_justify="left")
    for row in people[:MOST]:
        table.add_row(*_cells(row["person"], "\n".join(row["emails"]), ", ".join(row["known_as"])))
    if len(people) > MOST:
        table.caption = f"{len(people) - MOST} more are in --format json"
    return table


def _funnel(steps: list[Row]) -> Table:
    table = Table("time", "step", "witness", "key there", "times", title="Funnel", title_justify="left")
    table.add_column("last")
    for row in steps:
        stage = f" {row['stage']}" if row.get("stage") else ""
        imputed = " (imputed)" if row["is_imputed"] else ""
        again = _when(row["last_at"]) if row["times"] > 1 else "-"
        table.add_row(
            *_cells(_when(row["occurred_at"]), f"{row['step']}{stage}{imputed}"),
            *_cells(f"{row['silo']} {row['source']}", row["record_id"], str(row["times"]), again),
        )
    return table


def _for_review(candidates: list[Row]) -> Table:
    table = Table("one", "other", "why", "score", "for", "against", title="To be decided: the same or not?")
    table.title_justify = "left"
    for row in candidates[:MOST]:
        score = "-" if row["score"] is None else f"{row['score']:.2f}"
        table.add_row(
            *_cells(row["left_record"], row["right_record"], row["method"], score),
            *_cells(row["evidence"], row["why"]),
        )
    return table


def _when(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _cells(*values: str | None) -> Iterator[str]:
    return (escape(value) if value else "-" for value in values)
