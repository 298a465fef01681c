"""File mappings: real files, through DuckDB, into a real warehouse; and every mistake a mapping can hold."""

import gzip
import io
import json
import os
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ingestion import files
from ingestion.contract import contract
from ingestion.core import load_source
from settings.config import SourceConfig
from settings.errors import UserError
from settings.paths import Home

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[2] / "examples"
REAL = Path(os.environ.get("REVOPS_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
real_data = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data in {REAL}; set REVOPS_REAL_DATA")

DEALS = """id,value,stage,day
d1,$10.50,Won,2025-01-31
d2,,Open,
d3,$7,Lost,2025-02-01
"""
MAPPING = """
root = "data"
[files]
deals = "deals.csv"
[tables.opportunities]
from = "deals"
[tables.opportunities.columns]
opportunity_id = "id"
amount = "replace(value, '$', '')"
outcome = "lower(stage)"
closed_at = "strptime(day, '%Y-%m-%d')"
close_date = "day"
"""


class Export:
    """A mapping and its files in a folder, and the warehouse they are loaded into."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        (root / "data").mkdir()
        self.config = SourceConfig(name="old", silo="crm", type="files", mapping=root / "mapping.toml")
        self.mapping(MAPPING)
        self.file("deals.csv", DEALS)

    def mapping(self, text: str) -> None:
        (self.root / "mapping.toml").write_text(text)

    def file(self, name: str, content: str | bytes) -> None:
        data = content if isinstance(content, bytes) else content.encode()
        (self.root / "data" / name).write_bytes(data)

    def load(self):
        return {name: t.loaded for name, t in load_source(self.config, AS_OF, self.home).tables.items()}

    def rows(self, query):
        with duckdb.connect(str(self.home.warehouse), read_only=True) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            return warehouse.execute(query).fetchall()


@pytest.fixture
def export(tmp_path):
    return Export(tmp_path)


AMOUNTS = "select opportunity_id, amount from raw_old.opportunities where not is_deleted order by 1"


def test_rows_are_typed_as_the_contract_says(export):
    assert export.load() == {"opportunities": 3, "_unparsed": 0}
    [first, second, _] = export.rows(
        "select opportunity_id, amount, outcome, closed_at, close_date, account_id, is_deleted "
        "from raw_old.opportunities order by 1"
    )
    closed = datetime(2025, 1, 31, tzinfo=UTC)
    assert first == ("d1", Decimal("10.50"), "won", closed, date(2025, 1, 31), None, False)
    assert second == ("d2", None, "open", None, None, None, False)
    described = {row[0]: row[1] for row in export.rows("describe raw_old.opportunities")}
    wanted = contract()["crm"]["opportunities"].columns
    assert wanted.keys() - {"source", "loaded_at"} <= described.keys()


def test_a_rerun_loads_nothing_an_edit_loads_one_row_and_what_is_gone_is_marked(export):
    export.load()
    held = export.rows("select * from raw_old.opportunities order by 1")
    assert set(export.load().values()) == {0}
    assert export.rows("select * from raw_old.opportunities order by 1") == held
    export.file("deals.csv", DEALS.replace("$7", "$8"))
    assert export.load()["opportunities"] == 1
    export.file("deals.csv", DEALS.replace("d3", "d4"))
    assert export.load()["opportunities"] == 2
    gone = "select opportunity_id, amount from raw_old.opportunities where is_deleted"
    assert export.rows(gone) == [("d3", Decimal(8))]
    export.file("deals.csv", DEALS)
    assert export.load()["opportunities"] == 2
    assert [row[0] for row in export.rows(AMOUNTS)] == ["d1", "d2", "d3"]


@pytest.mark.parametrize(
    "expression", ["replace(value, '$', '')", "try_cast(replace(value, '$', '') as decimal(18, 2))"]
)
def test_a_value_that_cannot_be_converted_is_null_kept_and_listed(export, expression):
    export.mapping(MAPPING.replace("replace(value, '$', '')", expression))
    export.file("deals.csv", DEALS.replace("$7", "seven").replace("2025-02-01", "1 Feb"))
    assert export.load() == {"opportunities": 3, "_unparsed": 3}
    assert export.rows(AMOUNTS) == [("d1", Decimal("10.50")), ("d2", None), ("d3", None)]
    listed = export.rows("select table_name, column_name, row_key, raw_row from raw_old._unparsed order by 2")
    assert [row[:3] for row in listed] == [
        ("opportunities", column, "d3") for column in ("amount", "close_date", "closed_at")
    ]
    assert json.loads(listed[0][3]) == {"id": "d3", "value": "seven", "stage": "Lost", "day": "1 Feb"}
    assert export.load() == {"opportunities": 0, "_unparsed": 0}
    export.file("deals.csv", DEALS)
    assert export.load() == {"opportunities": 1, "_unparsed": 3}
    assert export.rows("select count(*) from raw_old._unparsed where not is_deleted") == [(0,)]


def test_formats_globs_options_and_queries(export):
    export.file("a_1.csv.gz", gzip.compress(b"id;n\xe4me\n1;\xfcber\n"))
    export.file("a_2.csv.gz", gzip.compress(b"id;n\xe4me\n2;x\n"))
    export.file("b.jsonl", '{"id": 1, "size": 12345678901234.25, "tags": ["a"]}\n{"id": 2, "size": null}\n')
    target = export.root / "data" / "c.parquet"
    duckdb.execute(f"copy (select 1 as id, timestamp '2025-01-02 03:04:05' as born) to '{target}'")
    export.mapping("""
root = "${OLD_DATA:-data}"
[files]
a = { path = "a_*.csv.gz", delim = ";", encoding = "latin-1" }
b = "b.jsonl"
c = "c.parquet"
[tables.accounts]
query = "select a.*, b.size, b.tags, c.born from a left join b using (id) left join c using (id)"
[tables.accounts.columns]
account_id = "id"
name = '"näme"'
annual_revenue = "size"
industry = "tags"
created_at = "born"
country = "typeof(size)"
""")
    assert export.load()["accounts"] == 2
    columns = "account_id, name, annual_revenue, industry, created_at, country"
    found = export.rows(f"select {columns} from raw_old.accounts order by 1")
    born = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found == [
        ("1", "über", Decimal("12345678901234.25"), '["a"]', born, "VARCHAR"),
        ("2", "x", None, None, None, "VARCHAR"),
    ]


def test_an_option_can_say_which_types_columns_have(export):
    export.file("deals.csv", "id,value\n1,2.5\n")
    export.mapping("""
root = "data"
[files]
deals = { path = "deals.csv", all_varchar = false }
[tables.opportunities]
from = "deals"
[tables.opportunities.columns]
opportunity_id = "id"
amount = "value * 2"
""")
    export.load()
    assert export.rows(AMOUNTS) == [("1", Decimal(5))]


def test_a_column_the_contract_lacks_is_loaded_as_text(export):
    export.mapping(MAPPING + 'cost_centre = "stage"\n')
    export.load()
    assert ("Won",) in export.rows("select cost_centre from raw_old.opportunities")


def test_a_truncated_export_is_refused_unless_allowed(export):
    many = "id,value,stage,day\n" + "".join(f"d{n},1,Won,2025-01-01\n" for n in range(200))
    few = "".join(many.splitlines(keepends=True)[:150])
    export.file("deals.csv", many)
    export.load()
    export.file("deals.csv", few)
    with pytest.raises(UserError, match=r"had 200 rows and file 'deals' .* gives 149.*allow_shrink"):
        export.load()
    assert export.rows("select count(*) from raw_old.opportunities where is_deleted") == [(0,)]
    export.mapping("allow_shrink = true\n" + MAPPING)
    assert export.load()["opportunities"] == 51


def test_a_spreadsheet_is_read_like_any_export(export):
    rows = [["Pipeline"], ["id", "value", "stage", "day"], ["d1", 10.5, "Won", date(2025, 1, 31)], ["d2"]]
    export.file("deals.xlsx", spreadsheet({"Notes": [["x"]], "Deals": rows}))
    inputs = '{ path = "deals.xlsx", sheet = "Deals", skip = 1 }'
    export.mapping(MAPPING.replace('"deals.csv"', inputs))
    assert export.load()["opportunities"] == 2
    query = "select opportunity_id, amount, close_date from raw_old.opportunities order by 1"
    assert export.rows(query) == [("d1", Decimal("10.5"), date(2025, 1, 31)), ("d2", None, None)]
    for options, says in (
        ('sheet = "Deal"', r"deals.xlsx has no sheet 'Deal'; it has Notes, Deals"),
        ("sheat = 2", r"option 'sheat' is unknown; a spreadsheet has sheet, skip"),
    ):
        export.mapping(MAPPING.replace('"deals.csv"', f'{{ path = "deals.xlsx", {options} }}'))
        with pytest.raises(UserError, match=says):
            export.load()


def spreadsheet(sheets):
    """The least that is an Excel file."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    listed, targets = "", f'<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/>'
    for n, name in enumerate(sheets, 1):
        listed += f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>'
        targets += f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="sheet{n}.xml"/>'
    relations = f'<Relationships xmlns="{package}/relationships">'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'{relations}<Relationship Id="r1" Type="{office}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"{relations}{targets}</Relationships>",
        "xl/styles.xml": f'<styleSheet {main}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        "</styleSheet>",
    }
    for n, rows in enumerate(sheets.values(), 1):
        body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/sheet{n}.xml"] = f"<worksheet {main}><sheetData>{body}</sheetData></worksheet>"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return packed.getvalue()


def cell(value):
    if isinstance(value, date):
        return f'<c s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def test_files_are_read_again_only_when_one_of_them_has_changed(export):
    export.mapping(MAPPING.replace("deals.csv", "deals*.csv"))
    assert export.load()["opportunities"] == 3
    assert read(export) == 0
    export.file("deals_2.csv", DEALS.replace("d1", "e1").replace("d2", "e2").replace("d3", "e3"))
    assert export.load()["opportunities"] == 3
    export.file("deals.csv", DEALS.replace("$7", "$8"))
    assert export.load()["opportunities"] == 1
    assert read(export) == 0


def read(export):
    return load_source(export.config, AS_OF, export.home).tables["opportunities"].extracted


LONG = "id,value,stage,day\n" + "".join(f"d{n},1,Won,2025-01-31\n" for n in range(30_000))


def cut_parquet(tmp_path):
    file = tmp_path / "whole.parquet"
    duckdb.sql(f"copy (select 'd' || range as id from range(9999)) to '{file}'")
    return file.read_bytes()[:-100]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("deals.csv.gz", gzip.compress(DEALS.encode())[:-20], r"deals\.csv\.gz is cut off in the middle"),
        (
            "deals.csv",
            LONG[:-20],
            r"line 30001 of deals\.csv has 1 columns instead of 4: .*cut off or damaged",
        ),
        (
            "deals.csv",
            DEALS[:-20],
            r"deals\.csv cannot be read as csv: its lines have no form.*looks cut off",
        ),
        ("deals.csv", DEALS + 'd4,"1', r"deals\.csv cannot be read as csv: .*a quote is not closed"),
        ("deals.jsonl", '{"id": "d1"}\n{"id": "d2', r"deals\.jsonl cannot be read.*unexpected end of data"),
        ("deals.parquet", cut_parquet, r"deals\.parquet cannot be read.*cut off or is no Parquet"),
        ("deals.xlsx", b"PK not whole", r"deals\.xlsx is no whole spreadsheet: .*Export it again"),
    ],
    ids=["gz", "long csv", "short csv", "open quote", "jsonl", "parquet", "excel"],
)
def test_a_file_that_is_cut_off_is_refused_and_named(export, tmp_path, name, content, says):
    export.load()
    export.file(name, content(tmp_path) if callable(content) else content)
    export.mapping(MAPPING.replace("deals.csv", name))
    with pytest.raises(UserError, match=says):
        export.load()
    assert export.rows("select count(*) from raw_old.opportunities where not is_deleted") == [(3,)]


def test_a_file_that_is_still_written_to_is_refused(export, monkeypatch):
    evaluate = files.evaluate

    def slowly(*given):
        export.file("deals.csv", DEALS + "d4,1,Won,2025-02-02\n")
        return evaluate(*given)

    monkeypatch.setattr(files, "evaluate", slowly)
    with pytest.raises(UserError, match=r"deals\.csv was written to while it was read.*Nothing was loaded"):
        export.load()
    monkeypatch.undo()
    assert export.load()["opportunities"] == 4


def test_a_mapping_that_gains_a_column_loads_it(export):
    export.load()
    export.file("deals.csv", DEALS.replace("d3", "d4"))
    export.mapping(MAPPING + 'lost_cause = "stage"\n')
    assert export.load()["opportunities"] == 4  # three with their cause, and the one that is gone
    assert export.rows("select opportunity_id from raw_old.opportunities where is_deleted") == [("d3",)]
    assert set(export.load().values()) == {0}


def changed(old, new):
    return MAPPING.replace(old, new)


MISTAKES = {
    "bad toml": ("root = data", "not valid TOML"),
    "no tables": ('[files]\ndeals = "data/deals.csv"\n', r"no \[tables"),
    "no files": ('[tables.accounts]\nfrom = "x"\n', r"no \[files\]"),
    "unknown key": ('rot = "data"\n' + MAPPING, "unknown key 'rot'; did you mean 'root'"),
    "unknown table key": (
        changed('from = "deals"', 'form = "deals"'),
        "unknown key 'form'; did you mean 'from'",
    ),
    "unknown table": (changed("tables.opportunities", "tables.oportunities"), "did you mean 'opportunities'"),
    "from and query": (changed('from = "deals"', 'from = "deals"\nquery = "x"'), "either from"),
    "unknown input": (changed('from = "deals"', 'from = "deal"'), "names 'deal'.*did you mean 'deals'"),
    "no columns": (MAPPING[: MAPPING.index("[tables.opportunities.columns]")], "has no columns"),
    "bad allow_shrink": ('allow_shrink = "yes"\n' + MAPPING, "allow_shrink must be true or false"),
    "bad root": (changed('root = "data"', 'root = "dat"'), "dat is not a folder"),
    "unset variable": (
        changed('root = "data"', 'root = "${NO_SUCH_THING}"'),
        r"NO_SUCH_THING, or give a default",
    ),
    "file not there": (changed("deals.csv", "deal.csv"), "deal.csv does not exist; did you mean 'deals.csv'"),
    "glob without match": (changed("deals.csv", "x_*.csv"), r"no file matches 'x_\*.csv'"),
    "unknown format": (changed("deals.csv", "notes.docx"), "cannot be told from its name; add format"),
    "empty file": (changed("deals.csv", "empty.csv"), "empty.csv is empty"),
    "ragged file": (changed("deals.csv", "ragged.csv"), "cannot be read"),
    "bad option": (changed('"deals.csv"', '{ path = "deals.csv", delimm = ";" }'), "delimm"),
    "missing column": (
        changed('"lower(stage)"', '"lower(stag)"'),
        r"outcome = 'lower\(stag\)': file 'deals' \(deals.csv\) has no column 'stag'; did you mean 'stage'",
    ),
    "bad sql": (changed('"lower(stage)"', '"lower(stage"'), "outcome = .*is not valid"),
    "unknown function": (changed('"lower(stage)"', '"loewr(stage)"'), "loewr does not exist"),
    "bad query": (changed('from = "deals"', 'query = "select * from dealz"'), "dealz.*has deals"),
    "contract column misspelt": (MAPPING + 'lead_sorce = "id"\n', "'lead_sorce'.*did you mean 'lead_source'"),
    "filled-in column": (MAPPING + 'source = "id"\n', "'source' is filled in"),
    "bad column name": (MAPPING + 'Cost-Centre = "id"\n', "'Cost-Centre' is not a column name"),
    "key not mapped": (changed('opportunity_id = "id"\n', ""), "the key 'opportunity_id' is missing"),
    "null key": (changed('"id"', '''"nullif(id, 'd2')"'''), "1 row.*no 'opportunity_id', the first is row 2"),
    "double key": (
        changed('"id"', "\"'x'\""),
        r"1 key\(s\) \(opportunity_id\) occur more than once.*'x' \(3 rows\)",
    ),
}


@pytest.fixture(scope="module")
def loaded_export(tmp_path_factory):
    export = Export(tmp_path_factory.mktemp("mistakes"))
    export.load()
    export.file("empty.csv", "")
    export.file("notes.docx", "x")
    export.file("ragged.csv", DEALS + "d9,1,2,3,4,5\n" * 3)
    return export


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_has_one_clear_message_and_leaves_the_warehouse_as_it_was(loaded_export, mistake):
    text, says = MISTAKES[mistake]
    held = loaded_export.rows("select * from raw_old.opportunities order by 1")
    loaded_export.mapping(text)
    with pytest.raises(UserError, match=says):
        loaded_export.load()
    assert loaded_export.rows("select * from raw_old.opportunities order by 1") == held


def test_check_finds_mistakes_without_loading(export):
    files.check(export.config)
    assert not export.home.warehouse.exists()
    export.file("deals.csv", "id,stage\n")
    with pytest.raises(UserError, match="has no column 'value'"):
        files.check(export.config)
    export.config = export.config.model_copy(update={"mapping": export.root / "nowhere.toml"})
    with pytest.raises(UserError, match=r"nowhere\.toml does not exist"):
        files.check(export.config)


def load_example(tmp_path, monkeypatch, folder, name, silo):
    monkeypatch.setenv("REVOPS_REAL_DATA", str(REAL.resolve()))
    home = Home(tmp_path)
    config = SourceConfig(name=name, silo=silo, type="files", mapping=EXAMPLES / folder / "mapping.toml")
    report = load_source(config, AS_OF, home)
    assert report.tables["_unparsed"].total == 0
    warehouse = duckdb.connect(str(home.warehouse), read_only=True)
    warehouse.execute("set timezone = 'UTC'")
    return warehouse


@real_data
def test_the_maven_crm_export_gives_its_known_figures(tmp_path, monkeypatch):
    with load_example(tmp_path, monkeypatch, "maven_crm", "maven", "crm") as warehouse:
        outcomes = warehouse.execute(
            "select outcome, count(*), sum(amount) from raw_maven.opportunities group by 1 order by 1"
        ).fetchall()
        assert outcomes == [("lost", 2473, 0), ("open", 2089, None), ("won", 4238, 10_005_534)]
        won = warehouse.execute(
            "select sum(amount) filter (product = 'GTX Pro'), avg(date_diff('day', created_at, closed_at)), "
            "median(amount) from raw_maven.opportunities where outcome = 'won'"
        ).fetchone()
        assert (won[0], round(won[1], 4), won[2]) == (3_510_578, 51.7820, 1117)
        by_region = warehouse.execute(
            "select region, sum(amount) from raw_maven.opportunities join raw_maven.owners using (owner_id) "
            "where outcome = 'won' group by 1 order by 2 desc"
        ).fetchall()
        assert by_region == [("West", 3_568_647), ("Central", 3_346_293), ("East", 3_090_594)]
        missing = "select count(*) filter (account_id is null), count(*) filter (created_at is null)"
        assert warehouse.execute(f"{missing} from raw_maven.opportunities").fetchone() == (1425, 500)
        wrong = (
            "select count(*) from raw_maven.accounts where industry = 'technolgy' or country = 'Philipines'"
        )
        assert warehouse.execute(wrong).fetchone() == (0,)


@real_data
def test_the_ravenstack_export_gives_its_known_mrr(tmp_path, monkeypatch):
    with load_example(tmp_path, monkeypatch, "ravenstack", "ravenstack", "billing") as warehouse:
        mrr = warehouse.execute("""
            select sum(i.unit_amount * i.quantity)
            from (values (timestamptz '2024-01-01'), ('2024-07-01'), ('2024-12-01'), ('2025-01-01')) as e(t)
            join raw_ravenstack.subscription_items i
                on i.valid_from < t and (i.valid_to is null or i.valid_to >= t)
            join raw_ravenstack.subscriptions s using (subscription_id)
            where s.status <> 'trialing'
            group by t order by t
        """).fetchall()
        assert [row[0] for row in mrr] == [1_262_113, 3_833_405, 8_460_824, 10_159_608]
