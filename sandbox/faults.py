"""Faults a test (or a curious user) asks the sandbox for: bad answers of every kind a vendor may give."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

KINDS = ("500", "401", "429", "broken_json", "slow", "new_field", "flip_type", "half")
#: What vendors call the size of a list.
TOTALS = ("total", "totalSize", "total_items", "total_count")
MOST_SECONDS = 600.0


@dataclass
class Fault:
    """What goes wrong at paths that match, and how many times (None: until cleared)."""

    path: re.Pattern[str]
    kind: str
    field: str
    times: int | None
    seconds: float

    def spoil(self, body: bytes) -> bytes:
        """The body of a good answer with this fault in it."""
        if self.kind == "broken_json":
            return body[: len(body) // 2]
        content = json.loads(body) if self.kind in ("new_field", "flip_type", "half") else None
        if self.kind == "new_field":
            content = _add_field(content, self.field)
        elif self.kind == "flip_type":
            content = _flip_type(content, self.field)
        elif self.kind == "half":
            content = _halve(content)
        else:
            return body
        return json.dumps(content).encode()


class Faults:
    """The faults asked for, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, given: Any) -> None:
        """Ask for one. Raises ValueError saying what is wrong with the request."""
        if not isinstance(given, dict):
            raise ValueError("the fault is not a JSON object")
        unknown = sorted(given.keys() - {"path", "kind", "field", "times", "seconds"})
        if unknown:
            raise ValueError(f"unknown key {unknown[0]!r}")
        kind = given.get("kind")
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        if kind == "flip_type" and not given.get("field"):
            raise ValueError("flip_type needs a field")
        times, seconds = given.get("times"), given.get("seconds", 1)
        if times is not None and (not isinstance(times, int) or times < 1):
            raise ValueError("times is a number of answers from 1, or null")
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
            raise ValueError(f"seconds is a number from 0 to {MOST_SECONDS:g}")
        try:
            path = re.compile(str(given["path"]))
        except (KeyError, re.error):
            raise ValueError("path is not a regular expression") from None
        self._faults.append(Fault(path, kind, str(given.get("field") or "x"), times, float(seconds)))

    def clear(self) -> None:
        """Everything works again."""
        self._faults.clear()

    def take(self, path: str) -> Fault | None:
        """The first fault of a path, counted as used once."""
        for fault in self._faults:
            if fault.path.search(path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
        return None


def _add_field(content: Any, name: str) -> Any:
    """A field nobody documented in every record: those of the lists, or the one object answered."""
    if not isinstance(content, dict):
        return content
    lists = [
        key
        for key, value in content.items()
        if isinstance(value, list) and isinstance((value or [{}])[0], dict)
    ]
    if not lists:
        return content | {name: "new"}
    return content | {
        key: [_extended(record, name) if isinstance(record, dict) else record for record in content[key]]
        for key in lists
    }


def _extended(record: dict[str, Any], name: str) -> dict[str, Any]:
    """A record with the field; one that is told under the name of its kind has it there."""
    if record and all(isinstance(part, dict) for part in record.values()):
        return {kind: part | {name: "new"} for kind, part in record.items()}
    return record | {name: "new"}


def _flip_type(content: Any, name: str) -> Any:
    """Every value of a field in a list of its own."""
    if isinstance(content, list):
        return [_flip_type(value, name) for value in content]
    if isinstance(content, dict):
        flipped = {key: _flip_type(value, name) for key, value in content.items()}
        return flipped | {key: [value] for key, value in flipped.items() if key == name}
    return content


def _halve(content: Any) -> Any:
    """Every other record of each list of an answer, and half of its total, as if there were no more.

    A page keeps its last record, which some vendors' next page begins after, and what leads to the next page
    stays. One record (an answer with an `id` of its own) is answered whole.
    """
    if not isinstance(content, dict) or "id" in content:
        return content
    halved = dict(content)
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            halved[key] = value[1 - len(value) % 2 :: 2]
        elif key in TOTALS and isinstance(value, int):
            halved[key] = (value + 1) // 2
    return halved
