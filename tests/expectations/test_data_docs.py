"""Great Expectations' Data Docs, as a browser without a network shows them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import gates_company as company
import pytest
from browser import seen
from gates_company import AS_OF, SOURCES

from expectations import duckdb_engine
from expectations.engine import evaluate

BOLD = "<b>Cork</b>"


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two runs over a company with one gap, whose text would be markup if it were not escaped."""
    folder = tmp_path_factory.mktemp("docs")
    warehouse = folder / "warehouse.duckdb"
    company.build(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("update crm.opportunities set outcome = ? where opportunity_id = 'd4'", [BOLD])
    company.model(warehouse)
    for days in (1, 0):
        when = AS_OF - timedelta(days=days)
        evaluate(warehouse, folder / "register.parquet", SOURCES, when, "USD", docs=folder / "docs")
    return folder / "docs"


def test_the_index_leads_to_every_run_and_needs_no_network(docs: Path) -> None:
    (page,) = seen(docs / "data_docs" / "index.html", (1200,))
    assert page["title"] == "Gates of the revenue warehouse"
    assert page["active"] == 0  # no scripts, styles or images of elsewhere
    assert page["text"].count("Doors: did each source send everything, fresh and valid?\tfailed") == 2
    assert page["text"].count("Seams: do the silos agree with each other?\tpassed") == 2
    for _, address in page["links"]:
        assert Path(address.removeprefix("file://").replace("%20", " ")).exists()


def test_a_page_says_what_is_expected_who_mends_it_and_shows_rows_as_text(docs: Path) -> None:
    (path,) = (docs / "data_docs" / "validations" / "1 doors").glob("20251231*/*/*.html")
    wide, phone = seen(path, (1200, 390), dark=True)
    assert "unexpected_value: no value(s) outside the silo contract's lists, or of" in wide["text"]
    assert "Severity high, for data: map the value in the source's mapping or staging model." in wide["text"]
    assert f"crm crm.opportunities.outcome {BOLD}" in wide["text"]
    assert "1 found" in wide["text"]
    assert wide["active"] == 0
    assert phone["scrolls"] <= phone["width"]


def test_only_the_last_runs_are_kept(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_engine, "KEPT_RUNS", 1)
    evaluate(
        docs.parent / "warehouse.duckdb",
        docs.parent / "register.parquet",
        SOURCES,
        AS_OF + timedelta(hours=1),
        "USD",
        docs=docs,
    )
    kept = {path.name for path in docs.glob("validations/*/*")}
    assert kept == {"20251231T130000Z"}
    assert {path.name for path in docs.glob("data_docs/validations/*/*")} == kept
    assert (docs / "data_docs" / "index.html").read_text(encoding="utf-8").count("2025-12-31 13:00") == 3
