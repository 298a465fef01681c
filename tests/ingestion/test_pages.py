"""The pages of the sources are those that the connectors' docstrings give."""

from __future__ import annotations

from ingestion.pages import FOLDER, pages


def test_every_source_type_has_its_page_and_it_is_up_to_date() -> None:
    made = pages()
    assert {path.name for path in made} == {path.name for path in FOLDER.glob("*.md")}
    stale = [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: make docs"
