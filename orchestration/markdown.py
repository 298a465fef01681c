"""Rows as a table in Markdown, as Dagster's UI shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; whatever a value holds, it stays in its cell and is text. NULL is an empty cell."""
    cells = [[_cell("" if value is None else str(value)) for value in row] for row in rows]
    lines = [list(columns), ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#!])", r"\\\1", " ".join(value.split()))
