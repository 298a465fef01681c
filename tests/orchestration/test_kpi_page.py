"""The KPI dictionary's pages are those that the models give."""

from __future__ import annotations

from orchestration.kpi_page import pages


def test_the_dictionary_is_up_to_date() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: make docs"
