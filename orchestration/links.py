"""Links to the records of gaps, in their vendors' own pages.

A link is made only where one page can be meant: the source shows its records at a known address, and where
several sources or kinds come into question, the warehouse knows the id of just one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from expectations.catalogue import GATES
from expectations.records import KINDS, Record, record_of
from orchestration.environment import Environment
from orchestration.reading import Row, open_warehouse, rows_of
from settings.config import SourceConfig
from settings.errors import UserError
from settings.vendors import record_pages

SIDES = ("left", "right")
_DECLARED = {gate.gap_type: {"left": gate.record_left, "right": gate.record_right} for gate in GATES}
Place = tuple[str, str, str]  # source, kind, id


def with_links(environment: Environment, gaps: Iterable[Row]) -> list[Row]:
    """Gaps with `link_left` and `link_right`, None where none is known.

    Where several sources could be meant the warehouse is asked, which a run keeps to itself: no link then.
    """
    gaps = list(gaps)
    records = {
        (number, side): found
        for number, gap in enumerate(gaps)
        for side in SIDES
        if (found := record_of(_DECLARED.get(gap["gap_type"], {}).get(side), *_said(gap, side)))
    }
    addresses = {name: page_address(source) for name, source in environment.config.sources.items()}
    pages = {at: _pages(environment, record, addresses) for at, record in records.items()}
    doubtful = {place for found in pages.values() if len(set(found.values())) > 1 for place in found}
    known = _known(environment, doubtful) if doubtful else set()

    def link(number: int, side: str) -> str | None:
        found = pages.get((number, side), {})
        meant = {page for place, page in found.items() if place not in doubtful or place in known}
        return meant.pop() if len(meant) == 1 else None

    return [gap | {f"link_{side}": link(number, side) for side in SIDES} for number, gap in enumerate(gaps)]


def page_address(source: SourceConfig) -> str | None:
    """What the pages of a source's records begin with; None where that is not known."""
    pages = record_pages(source.type)
    if pages is None:
        return None
    if source.record_url is not None:
        return source.record_url
    if source.base_url is not None:
        return pages.beside(source.base_url)
    if not pages.connector_knows:
        return pages.default
    try:
        return pages.beside(importlib.import_module(f"ingestion.{source.type}").base_url(source))
    except UserError:
        return None


def _said(gap: Row, side: str) -> tuple[str | None, str | None]:
    return gap[f"silo_{side}"], gap[f"key_{side}"]


def _pages(
    environment: Environment, record: Record, addresses: dict[str, str | None]
) -> dict[Place, str | None]:
    """The page, if it has one, of every place where the record may be."""
    found: dict[Place, str | None] = {}
    for kind in record.kinds:
        silo = KINDS[kind][0]
        for name, source in environment.config.sources.items():
            if source.silo != silo or record.source not in (None, name):
                continue
            pages, address = record_pages(source.type), addresses[name]
            page = pages.page(address, kind, record.record_id) if pages and address else None
            found[name, kind, record.record_id] = page
    return found


def _known(environment: Environment, places: set[Place]) -> set[Place]:
    """Which of them the warehouse has a record of."""
    try:
        warehouse = open_warehouse(environment.home)
    except UserError:
        return set()
    found = set()
    with warehouse:
        for kind in {kind for _, kind, _ in places}:
            silo, table, key = KINDS[kind]
            ids = sorted({record_id for _, of, record_id in places if of == kind})
            rows = rows_of(
                warehouse,
                f"select source, {key} as id from {silo}.{table} where list_contains($ids, {key})",  # noqa: S608
                {"ids": ids},
            )
            found |= {(row["source"], kind, row["id"]) for row in rows}
    return found & places
