"""Who is erased is in no layer and no file any more, no figure changes, and a return is seen."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import duckdb
import pytest
from revops import Revops, copied

from expectations import erased
from orchestration.erasing import _redact
from settings.errors import UserError


@pytest.fixture(scope="module")
def company(small_company: Revops, tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return copied(small_company, tmp_path_factory.mktemp("erasing"))


def figures(revops: Revops) -> list[tuple]:
    with revops.marts() as marts:
        return marts.execute("from marts.kpi_values order by all").fetchall()


def test_a_person_is_in_no_layer_and_no_figure_changes(company: Revops) -> None:
    with company.warehouse() as warehouse:
        email, first, last = warehouse.execute(
            "select email, first_name, last_name from crm.contacts"
            " where email in (select email from email.events where event_type = 'reply')"
            " order by contact_id limit 1"
        ).fetchone()
        rows = dict(company.tables("raw%"))
    before = figures(company)
    done = company("erase", email.upper(), "--yes", "--format", "json")
    assert email not in (done.stdout + done.stderr).lower()
    changed = json.loads(done.stdout)["rows"]
    assert {
        "raw_hubspot.contacts",
        "raw_mailshake.recipients",
        "crm.contacts",
        "email.events",
    } <= changed.keys()
    for file in company.home.rglob("*"):
        if file.is_file() and "sandbox" not in file.parts:
            assert email.encode() not in file.read_bytes().lower(), file
    with company.warehouse() as warehouse:
        [found] = warehouse.execute(
            "select email, first_name, last_name from crm.contacts where email like 'erased-%'"
        ).fetchall()
        assert found[1:] == (None, None)
        assert (first, last) != (None, None)
    assert {table: count for table, (count, _) in company.tables("raw%").items()} == {
        table: count for table, (count, _) in rows.items()
    }
    kept = company.home / "erased.json"
    assert email not in kept.read_text(encoding="utf-8")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    company("run")
    assert figures(company) == before
    assert [gap for gap in company.json("gaps") if gap["gap_type"] == "erasure_incomplete"] == []


def test_only_the_whole_address_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    texts = [
        "Ann@x.com",
        "joann@x.com",
        "ann@x.com.au",
        "ask ann@x.com, ann@x.com.",
        "ann@x.community",
        "none",
    ]
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table notes as select unnest($1) as said, 'Ann' as first_name", [texts])
        connection.execute(
            "create table people as"
            """ select '{"FNAME": "Ann", "plan": "a", "mail": "ann@x.com"}'::json as fields"""
        )
    assert _redact(path, "ann@x.com", "E") == {"main.notes": 2, "main.people": 1}
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("select said, first_name from notes order by rowid").fetchall() == [
            ("E", None),
            ("joann@x.com", "Ann"),
            ("ann@x.com.au", "Ann"),
            ("ask E, E.", None),
            ("ann@x.community", "Ann"),
            ("none", "Ann"),
        ]
        [(fields,)] = connection.execute("select fields from people").fetchall()
        assert json.loads(fields) == {"FNAME": None, "plan": "a", "mail": "E"}


def test_what_is_no_address_is_refused_and_nobody_is_remembered(company: Revops, tmp_path: Path) -> None:
    revops = Revops(tmp_path / "home", company.config)
    done = revops("erase", "Ann Smith", "--yes", exits=1)
    assert "that is no e-mail address" in done.stderr
    assert not (revops.home / "erased.json").exists()


def test_a_lost_key_is_said(tmp_path: Path) -> None:
    (tmp_path / "erased.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="Restore it from a backup"):
        erased.read(tmp_path / "erased.json")
