"""Columns that Arrow reads out of JSON pages are what is read record by record, or there are none."""

import json
import logging

import mailshake_world
import pyarrow as pa
import pytest
from mailshake_world import event, minute
from vendor_bench import served

from ingestion import mailshake, mailshake_rows
from ingestion.arrow import to_arrow
from ingestion.mailshake_rows import TABLES


def rows(table, bodies):
    spec = TABLES[table]
    return to_arrow(table, spec.columns, [mailshake_rows.event(table, b) for b in bodies], spec.ignored)


def read(table, *pages):
    texts = [json.dumps({"results": bodies, "nextToken": None}).encode() for bodies in pages]
    found = mailshake_rows.events(table, texts)
    spec = TABLES[table]
    return isinstance(found, pa.Table), to_arrow(table, spec.columns, found, spec.ignored)


def sent(number, **more):
    return {
        "object": "sent-message",
        "id": number,
        "actionDate": f"2026-03-01T00:00:{number:02}.000Z",
        "recipient": {"id": 7, "emailAddress": "p7@globex.test", "fields": {"since": "2026-01-01"}},
        "campaign": {"id": 101, "title": "Spring"},
        "message": {"id": 201},
        "type": "campaign-message",
        "body": "Hello\nthere",
        **more,
    }


@pytest.mark.parametrize("table", ["sent", "opens", "clicks", "replies"])
def test_what_the_api_answers(tmp_path, table):
    with served("mailshake", mailshake_world.build, tmp_path) as bench:
        for place in range(5):
            event(bench.world, 1000 + place, "click", minute(400 + place), link=f"https://acme.test/{place}")
        pages = mailshake._client(bench.config).texts(
            f"2017-04-01/activity/{table}", {"perPage": 2}, "results", "nextToken"
        )
        texts = list(pages)
    assert len(texts) > 1
    bodies = [body for text in texts for body in json.loads(text)["results"]]
    found = mailshake_rows.events(table, texts)
    assert isinstance(found, pa.Table) is (table != "replies")
    assert to_arrow(table, TABLES[table].columns, found, TABLES[table].ignored).equals(rows(table, bodies))


@pytest.mark.parametrize(
    ("is_read_by_arrow", "bodies"),
    [
        (
            True,
            [sent(1), sent(2, recipient=None), sent(3, message=None, parent={"id": 5, "message": {"id": 9}})],
        ),
        (True, [sent(1, recipient=None), sent(2, recipient=None)]),
        (True, [sent(1), sent(2, flavour="mint"), sent(3, flavour=None)]),
        (True, [sent(1, id="a"), sent(2, id="b")]),
        (False, [sent(1), sent(2, id="b")]),
        (False, [sent(1, id=12345678901234567890)]),
        (True, [sent(1, actionDate="2026-03-01T00:00:01"), sent(2, actionDate="2026-03-01T00:00:02+02:00")]),
        (False, [sent(1, actionDate="2026-03-01T00:00:01.000")]),
        (False, [sent(1, actionDate=1772323201)]),
        (False, [sent(1, type="2026-01-01")]),
        (False, [sent(1), sent(2, taste={"sweet": True})]),
        (False, [sent(1, day="2026-01-01")]),
    ],
)
def test_values_of_every_kind(is_read_by_arrow, bodies):
    by_arrow, found = read("sent", bodies[:1], bodies[1:])
    assert by_arrow is is_read_by_arrow
    assert found.equals(rows("sent", bodies))


def test_a_page_over_several_lines_and_one_without_records():
    pretty = json.dumps({"results": [sent(1), sent(2)]}, indent=2).encode()
    empty = json.dumps({"results": [], "nextToken": "x"}).encode()
    found = mailshake_rows.events("sent", [empty, pretty, empty])
    assert isinstance(found, pa.Table)
    assert to_arrow("sent", TABLES["sent"].columns, found, TABLES["sent"].ignored).equals(
        rows("sent", [sent(1), sent(2)])
    )
    assert mailshake_rows.events("sent", [empty]) == []


def test_a_new_field_is_announced_and_kept(caplog):
    with caplog.at_level(logging.WARNING):
        by_arrow, found = read("sent", [sent(1), sent(2, flavour="mint")])
    assert by_arrow
    assert "new field(s) 'flavour'" in caplog.text
    assert found["_extra"].to_pylist() == [None, '{"flavour":"mint"}']
