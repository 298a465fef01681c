"""The part of SOQL that the sandbox understands.

SELECT ... FROM ... WHERE ... AND ... ORDER BY ... LIMIT; COUNT() may stand for the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

QUERY = re.compile(
    r"\s*select\s+(?P<fields>count\(\)|[\w.,\s]+?)\s+from\s+(?P<object>\w+)"
    r"(?:\s+where\s+(?P<where>.+?))?"
    r"(?:\s+order\s+by\s+(?P<order>\w+)(?:\s+(?P<direction>asc|desc))?)?"
    r"(?:\s+limit\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
CONDITION = re.compile(
    r"(?P<field>[\w.]+)\s*(?P<operator>>=|<=|!=|=|>|<|\bin\b)\s*(?P<value>.+)", re.IGNORECASE
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda held, value: held == value,
    "!=": lambda held, value: held != value,
    ">=": lambda held, value: held is not None and held >= value,
    "<=": lambda held, value: held is not None and held <= value,
    ">": lambda held, value: held is not None and held > value,
    "<": lambda held, value: held is not None and held < value,
    "in": lambda held, value: held in value,
}


class MalformedError(Exception):
    """A query that cannot be read."""


@dataclass(frozen=True)
class Query:
    """A query, read. `conditions` are (field, operator, value), all of which must hold. One without fields
    counts.
    """

    fields: list[str]
    object: str
    conditions: list[tuple[str, str, Any]]
    order: str | None
    descending: bool
    limit: int | None

    def named(self) -> list[str]:
        """Every field the query names."""
        ordered = [self.order] if self.order else []
        return [*self.fields, *(field for field, _, _ in self.conditions), *ordered]

    def holds(self, value_of: Callable[[str], Any]) -> bool:
        """Whether a record, given by its fields' values, is wanted."""
        return all(COMPARE[operator](value_of(field), value) for field, operator, value in self.conditions)


def read(text: str) -> Query:
    """Read a query; `MalformedError` if it is none."""
    found = QUERY.fullmatch(text)
    if found is None:
        raise MalformedError(f"unexpected token: {text.strip()[:20]!r}")
    conditions = []
    for part in re.split(r"\s+and\s+", found["where"] or "", flags=re.IGNORECASE):
        condition = CONDITION.fullmatch(part.strip()) if part.strip() else None
        if condition is not None:
            value = _literal(condition["value"].strip())
            conditions.append((condition["field"], condition["operator"].lower(), value))
        elif part.strip():
            raise MalformedError(f"unexpected token: {part.strip()[:20]!r}")
    return Query(
        [] if found["fields"].endswith("()") else [name.strip() for name in found["fields"].split(",")],
        found["object"],
        conditions,
        found["order"],
        (found["direction"] or "").lower() == "desc",
        int(found["limit"]) if found["limit"] else None,
    )


def _literal(text: str) -> Any:
    if text.startswith("(") and text.endswith(")"):
        return [_literal(part.strip()) for part in text[1:-1].split(",")]
    if text.startswith("'") and text.endswith("'"):
        return text[1:-1].replace("\\'", "'")
    if text.lower() in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text.lower()]
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
        if re.match(r"\d{4}-\d\d-\d\dT", text):
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise MalformedError(f"line 1: a time without a zone: {text}")
            return moment.astimezone(UTC)
        return Decimal(text)
    except (ValueError, ArithmeticError):
        raise MalformedError(f"unexpected token: {text!r}") from None
