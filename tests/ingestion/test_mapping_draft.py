"""A drafted mapping: of unknown files, one that loads."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from revops import Revops

from ingestion import files
from ingestion.core import load_source
from settings.config import SourceConfig
from settings.paths import Home

EXPORT = {
    "deals_2026.csv": "Deal ID,Company,Deal Value,Status,Close Date,Colour\n"
    'D-1,C-1,"$1,200.50",Closed Won,31.01.2026,red\n'
    "D-2,C-1,$7,Negotiation,01.03.2026,\n",
    "companies.csv": "Id;Company Name;Website;Employees\nC-1;Globex;globex.test;40\n",
    "mood.csv": "when,mood\n2026-01-01,good\n",
}


@pytest.fixture
def revops(tmp_path: Path) -> Revops:
    for name, text in EXPORT.items():
        (tmp_path / name).write_text(text)
    return Revops(tmp_path / "home", tmp_path / "revops.toml")


def test_a_draft_loads_as_it_is_and_says_what_is_left_to_do(revops: Revops) -> None:
    folder = revops.config.parent
    said = revops("map", "old_crm", *(str(folder / name) for name in EXPORT)).stdout
    mapping = folder / "mappings" / "old_crm.toml"
    assert f"Wrote {mapping}" in said
    assert 'silo = "crm"\ntype = "files"\nmapping = "mappings/old_crm.toml"' in said
    text = mapping.read_text()
    assert set(tomllib.loads(text)["tables"]) == {"opportunities", "accounts"}
    assert "# not used yet: Colour" in text
    assert "# mood fits no table yet; it has when, mood" in text
    assert "# still empty: primary_contact_id, " in text

    config = SourceConfig(name="old_crm", silo="crm", type="files", mapping=mapping)
    files.check(config)
    report = load_source(config, datetime(2026, 4, 1, tzinfo=UTC), Home(revops.home))
    assert {name: table.loaded for name, table in report.tables.items()} == {
        "opportunities": 2,
        "accounts": 1,
        "_unparsed": 0,
    }
    with duckdb.connect(str(revops.home / "warehouse.duckdb"), read_only=True) as warehouse:
        deals = warehouse.execute(
            "select opportunity_id, account_id, amount, stage, outcome, close_date"
            " from raw_old_crm.opportunities order by 1"
        ).fetchall()
        accounts = warehouse.execute(
            "select account_id, name, domain, employee_count from raw_old_crm.accounts"
        ).fetchall()
    assert deals == [
        ("D-1", "C-1", Decimal("1200.50"), "Closed Won", "won", date(2026, 1, 31)),
        ("D-2", "C-1", Decimal(7), "Negotiation", "open", date(2026, 3, 1)),
    ]
    assert accounts == [("C-1", "Globex", "globex.test", 40)]


def test_a_mapping_is_never_overwritten_and_a_missing_file_is_named(revops: Revops) -> None:
    folder = revops.config.parent
    mapping = folder / "mappings" / "crm.toml"
    mapping.parent.mkdir()
    mapping.write_text("mine")
    said = revops("map", "crm", str(folder / "companies.csv"), exits=1).stderr
    assert said == f"revops: {mapping} exists already. Remove it, or name another with --out\n"
    assert mapping.read_text() == "mine"
    said = revops("map", "other", str(folder / "gone.csv"), exits=1).stderr
    assert said == f"revops: {folder / 'gone.csv'} does not exist. Name the files of the export\n"
    assert not (folder / "mappings" / "other.toml").exists()
