"""identity_overrides.csv: what people have decided about who is who.

One line a decision: `action` (link or apart), `left` and `right` (the two records), `who` decided it, and
`why`. Records are named as in identity.links and identity.people_links: `crm:hubspot:123` and
`billing:stripe:cus_1` are companies; contact, lead, customer, recipient and event, each with source and id,
are people. A line that is removed leaves no trace.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

COLUMNS = ("action", "left", "right", "who", "why")
ACTIONS = ("link", "apart")
COMPANIES = ("crm", "billing")
PEOPLE = ("contact", "lead", "customer", "recipient", "event")


def override_faults(path: Path, sources: Collection[str]) -> list[str]:
    """What is wrong with the file: line and fix of each fault. `sources`: their names in revops.toml."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except OSError as exc:
        return [f"{path} cannot be read: {exc.strerror}. Correct the path, or remove it"]
    except (csv.Error, UnicodeDecodeError) as exc:
        return [f"{path} is not CSV in UTF-8: {exc}. Save it as such"]
    if sorted(header) != sorted(COLUMNS):
        return [f"{path}, line 1: the columns are {','.join(header)}. Write {','.join(COLUMNS)}"]
    faults = []
    decided: dict[frozenset[str], tuple[int, str]] = {}
    for line, cells in rows:
        if not any(cells):
            continue
        where = f"{path}, line {line}"
        if len(cells) != len(header):
            faults.append(
                f"{where} has {len(cells)} columns instead of {len(header)}. Quote cells with commas"
            )
            continue
        row = dict(zip(header, cells, strict=True))
        wrong = _row_faults(row, sources)
        pair = frozenset((row["left"], row["right"]))
        if not wrong and pair in decided:
            before, action = decided[pair]
            if action == row["action"]:
                wrong.append(f"says the same as line {before}. Remove one of them")
            else:
                wrong.append(f"says {row['action']} where line {before} says {action}. Remove one of them")
        faults += [f"{where}: {fault}" for fault in wrong]
        decided.setdefault(pair, (line, row["action"]))
    return faults


def _row_faults(row: dict[str, str], sources: Collection[str]) -> list[str]:
    faults = []
    if row["action"] not in ACTIONS:
        faults.append(f"action {row['action']!r} is not known. Write link or apart")
    kinds = []
    for side in ("left", "right"):
        kind, _, rest = row[side].partition(":")
        source, _, key = rest.partition(":")
        if kind not in (*COMPANIES, *PEOPLE) or not source or not key:
            faults.append(
                f"{side} {row[side]!r} names no record. Write <kind>:<source>:<id>, such as crm:hubspot:123; "
                f"kinds are {', '.join((*COMPANIES, *PEOPLE))}"
            )
        elif source not in sources:
            close = get_close_matches(source, sources, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There is {', '.join(sorted(sources))}"
            faults.append(f"{side} {row[side]!r}: there is no source {source!r} in revops.toml. {hint}")
        kinds.append(kind in PEOPLE)
    if not faults and kinds[0] != kinds[1]:
        faults.append("one record is a company's, the other a person's. Name two of one kind")
    if not faults and row["left"] == row["right"]:
        faults.append("left and right are the same record. Name two")
    if not row["who"]:
        faults.append("who is empty. Say who decided it")
    if not row["why"]:
        faults.append("why is empty. Give the reason")
    return faults
