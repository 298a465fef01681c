"""Digests as pages: Markdown for chats and wikis, and one self-contained HTML file that a mail can carry.

Values come from vendors. Whatever they hold is text: HTML is escaped by the templates' own rule, Markdown by
`_plain`, which every value passes unless it is a link made here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"
SUFFIXES = {"markdown": "md", "html": "html"}
_SPECIAL = re.compile(r"([\\`*_\[\]|~#!])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Ready(str):
    """Markdown that is meant as such."""


def page(digest: dict[str, Any], format: str) -> str:
    """A digest as `markdown` or `html`."""
    made = _environment(format).get_template(f"digest.{SUFFIXES[format]}.jinja")
    return made.render(digest, sections=_sections(digest))


def write(
    digests: Iterable[dict[str, Any]], teams: Iterable[str], folder: Path, formats: Iterable[str]
) -> dict[str, list[Path]]:
    """Write a file per team and format, and remove those of `teams`, who have nothing to read any more.

    Out: what was written, by team.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, list[Path]] = {}
    for format in formats:
        for digest in digests:
            file = folder / file_name(digest["team"], format)
            file.write_text(page(digest, format), encoding="utf-8")
            written.setdefault(digest["team"], []).append(file)
        for team in teams:
            (folder / file_name(team, format)).unlink(missing_ok=True)
    return written


def file_name(team: str, format: str) -> str:
    """What a team's digest is called."""
    return f"{re.sub('[^a-z0-9]+', '-', team.lower()).strip('-')}.{SUFFIXES[format]}"


def _sections(digest: dict[str, Any]) -> list[tuple[str, dict[str, Any], list[list[dict[str, Any]]]]]:
    """What happened, its figures, and its gaps type by type."""
    names = (
        ("New this week", "new"),
        ("Came back this week", "came_back"),
        ("Still open", "still_open"),
        ("Resolved this week", "resolved"),
    )
    return [(name, digest[key], _by_type(digest[key]["gaps"])) for name, key in names if digest[key]["count"]]


def _by_type(gaps: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    types: dict[str, list[dict[str, Any]]] = {}
    for gap in gaps:
        types.setdefault(gap["gap_type"], []).append(gap)
    return list(types.values())


def _environment(format: str) -> Environment:
    is_html = format == "html"
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=is_html,
        finalize=None if is_html else _plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "money": _money,
        "days": _days,
        "day": _day,
        "number": lambda value: f"{value:,}",
        "sentence": lambda text: text[:1].upper() + text[1:],
        "link": _link,
        "silo": _silo,
    }
    return made


def _plain(value: Any) -> Any:
    """Any value as text of a Markdown table's cell."""
    if isinstance(value, Ready):
        return value
    text = " ".join(str(value).translate(_ENTITIES).split())
    return _SPECIAL.sub(r"\\\1", text)


def _link(text: str, address: str | None) -> Ready:
    """A Markdown link, or the text alone."""
    return Ready(f"[{_plain(text)}](<{address}>)" if address else _plain(text))


def _silo(silo: str) -> str:
    return {"crm": "CRM", "email": "e-mail"}.get(silo, silo)


def _money(amount: Decimal | None, currency: str) -> str:
    return f"{amount:,.2f} {currency}" if amount else "–"


def _days(days: int) -> str:
    return "today" if days == 0 else f"{days:,} day{'' if days == 1 else 's'}"


def _day(day: dt.date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"
