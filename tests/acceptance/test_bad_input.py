"""Whatever is wrong: one message that says what, where and what to do; exit code 1; nothing is changed."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from revops import ROOT, Revops, copied, free_port

PUBLISHED_ALL_THE_SAME = (
    "The marts are published all the same; what is made of that is as of its last good load"
)
SECRET = "pat-na1-not-the-right-one"


class Company(Revops):
    """A small company that was run once, and whose systems can be made to fail."""

    @property
    def address(self) -> str:
        """Where its systems answer."""
        found = re.search(r"port = (\d+)", self.config.read_text(encoding="utf-8"))
        assert found
        return f"http://127.0.0.1:{found[1]}"

    @contextlib.contextmanager
    def faults(self, *faults: dict[str, Any]) -> Iterator[None]:
        """Its systems fail like this in the block."""
        for fault in faults:
            requests.post(f"{self.address}/_sandbox/faults", json=fault, timeout=5).raise_for_status()
        try:
            yield
        finally:
            requests.delete(f"{self.address}/_sandbox/faults", timeout=5)

    def changed(self, name: str, *changes: tuple[str, str], **environment: str) -> Revops:
        """The same company with another configuration beside its own."""
        text = self.config.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        config = self.config.with_name(name)
        config.write_text(text, encoding="utf-8")
        return Revops(self.home, config, environment)

    def state(self) -> tuple[Any, Any]:
        """Everything a run that is refused must leave alone."""
        return self.tables(), self.published()

    def figures(self) -> tuple[Any, Any]:
        """What a source that fails must leave alone: what was loaded, and what is made of it."""
        return self.tables("raw\\_%"), self.published()["marts.kpi_values"]


@pytest.fixture(scope="module")
def company(small_company: Revops, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    made = copied(small_company, tmp_path_factory.mktemp("company"))
    company = Company(made.home, made.config)
    with company.start("sandbox", "serve") as server:
        try:
            wait_for(company.address)
            yield company
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate()


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(address, timeout=60)
            return
        time.sleep(0.05)
    raise TimeoutError(address)


def refused(revops: Revops, *command: str) -> str:
    """What a command that fails says: one message, on standard error only."""
    done = revops(*command or ("run",), exits=1)
    assert done.stderr.startswith("revops: ")
    assert done.stderr.count("revops: ") == 1
    assert SECRET not in done.stdout + done.stderr
    return done.stderr.removeprefix("revops: ").rstrip("\n")


def holds_the_secret(file: Path) -> bool:
    return SECRET.encode() in file.read_bytes()


def test_what_can_be_known_before_is_refused_before_anything_runs(company: Company, tmp_path: Path) -> None:
    before = company.state()
    mapping = (ROOT / "mappings" / "finance.toml").read_text(encoding="utf-8")
    own = tmp_path / "finance.toml"
    own.write_text(mapping.replace('"spend.csv"', '"spent.csv"'), encoding="utf-8")
    finance = f"{ROOT}/mappings/finance.toml"

    unknown = company.changed("unknown.toml", ("currency =", "curency ="))
    assert refused(unknown) == (
        f"{unknown.config} cannot be used:\n  - [company]: unknown key 'curency'; did you mean 'currency'?"
    )
    wrong = company.changed("wrong.toml", ("fiscal_year_start = 1", 'fiscal_year_start = "January"'))
    assert refused(wrong) == (
        f"{wrong.config} cannot be used:\n"
        "  - [company]: fiscal_year_start = 'January': input should be a valid integer"
    )
    missing = Revops(company.home, tmp_path / "revops.toml")
    assert refused(missing).startswith(f"{missing.config} does not exist. Run where revops.toml is, or")
    no_mapping = company.changed("no_mapping.toml", (finance, "costs.toml"))
    place = company.config.with_name("costs.toml")
    assert refused(no_mapping).endswith(f"'costs.toml': {place} does not exist. Correct the path")
    no_file = company.changed("no_file.toml", (finance, str(own)))
    said = refused(no_file)
    assert said.startswith(f"mapping {own}: [files] spend: ")
    assert said.endswith("spent.csv does not exist; did you mean 'spend.csv'?")

    assert company.state() == before


CASES = {
    "refusals": (
        {"SOURCES__HUBSPOT__API_KEY": SECRET},
        [{"path": "/mailshake/.*/sent", "kind": "500"}, {"path": "/stripe/v1/prices", "kind": "429"}],
        [
            r"source 'hubspot': /hubspot/\S+ refused the credentials \(HTTP 401\)\. Check the key in"
            r" SOURCES__HUBSPOT__API_KEY",
            r"source 'mailshake': /mailshake/\S+/sent failed on the server's side 5 times \(HTTP 500\)\."
            r" .*run again later",
            r"source 'stripe': /stripe/v1/prices still limits the rate after 5 attempts \(HTTP 429\)\."
            r" Run again later",
        ],
    ),
    "answers": (
        {},
        [
            {"path": "/hubspot/crm/v3/objects/deals", "kind": "broken_json"},
            {"path": "/mailshake/.*/campaigns/list", "kind": "flip_type", "field": "title"},
            {"path": "/stripe/v1/", "kind": "401"},
        ],
        [
            r"source 'hubspot': the answer at /hubspot/crm/v3/objects/deals/search cannot be used: it is not"
            r" valid JSON\. Nothing was loaded; run again",
            r"source 'mailshake', table 'campaigns', column 'title': the type changed from text to list\."
            r" The table stays as it was; correct the field at its origin",
            r"source 'stripe': /stripe/v1/\S+ refused the credentials \(HTTP 401\)\. Check the key in"
            r" SOURCES__STRIPE__API_KEY",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_source_that_fails_says_what_happened_where_and_what_to_do(company: Company, case: str) -> None:
    environment, faults, expected = CASES[case]
    before = company.figures()
    with company.faults(*faults):
        *said, published = refused(company.changed("same.toml", **environment)).splitlines()
    assert published == PUBLISHED_ALL_THE_SAME
    assert not [file for file in company.home.rglob("*") if file.is_file() and holds_the_secret(file)]
    assert len(said) == len(expected)
    for line, pattern in zip(sorted(said), expected, strict=True):
        assert re.match(pattern, line), line
    assert company.figures() == before


def test_a_dead_address_and_a_column_the_file_lacks_are_named(company: Company, tmp_path: Path) -> None:
    before = company.figures()
    own = tmp_path / "finance.toml"
    mapping = (ROOT / "mappings" / "finance.toml").read_text(encoding="utf-8")
    own.write_text(mapping.replace('amount = "amount"', 'amount = "amont * 2"', 1), encoding="utf-8")
    dead = f"http://127.0.0.1:{free_port()}"
    revops = company.changed(
        "dead.toml",
        (f"{ROOT}/mappings/finance.toml", str(own)),
        ('"mailshake", "stripe"]', '"mailshake"]'),
        (
            "[sandbox]",
            f'[sources.stripe]\nsilo = "billing"\ntype = "stripe"\nbase_url = "{dead}/stripe"\n\n[sandbox]',
        ),
    )
    *said, published = refused(revops).splitlines()
    column, address = sorted(said)
    assert published == PUBLISHED_ALL_THE_SAME
    assert column == (
        f"mapping {own}: [tables.spend.columns] amount = 'amont * 2': file 'spend' (spend.csv) has no column"
        " 'amont'; did you mean 'amount' or 'month'?"
    )
    assert address.startswith(f"source 'stripe': {dead} cannot be reached (/stripe/v1/")
    assert address.endswith("Check base_url under [sources.stripe], the network, and that the server is up")
    assert company.figures() == before


def test_of_two_runs_at_once_one_is_refused_and_the_other_finds_nothing_changed_by_all_that(
    company: Company,
) -> None:
    before = company.state()
    with company.faults({"path": "/hubspot/crm/v3/owners", "kind": "slow", "seconds": 8, "times": 1}):
        first = company.start("run", "--format", "json")
        holder = company.home / "run.holder"
        while not holder.exists():
            assert first.poll() is None
            time.sleep(0.05)
        said = refused(company)
        out, err = first.communicate(timeout=300)
    assert said.startswith(
        f"another run is writing to {company.home}: revops run (process {first.pid}), since 2"
    )
    assert said.endswith("Wait until it is done, or give this run another REVOPS_HOME")
    assert (first.returncode, err) == (0, ""), out
    report = json.loads(out)
    assert (report["status"], report["errors"], report["warnings"]) == ("done", [], [])
    assert {rows["loaded"] for tables in report["sources"].values() for rows in tables.values()} == {0}
    assert company.state() == before


def test_new_fields_are_announced_and_kept_and_stop_nothing(company: Company) -> None:
    added = (("hubspot", "/crm/v3/owners", "owners"), ("mailshake", "/.*/campaigns/list", "campaigns"))
    faults = [{"path": f"/{name}{path}", "kind": "new_field", "field": "mood"} for name, path, _ in added]
    expected = [
        f"source {name!r}, table {table!r}: new field(s) 'mood', kept in _extra. To use them, declare them in"
        " the source's tables"
        for name, _, table in added
    ]
    with company.faults(*faults):
        done = company("run", "--format", "json")
    assert done.stderr.splitlines() == [f"revops: warning: {said}" for said in expected]
    assert json.loads(done.stdout)["warnings"] == expected
    with company.warehouse() as warehouse:
        for name, _, table in added:
            kept = warehouse.execute(f"select distinct _extra ->> 'mood' from raw_{name}.{table}").fetchall()
            assert kept == [("new",)], table


def test_a_closed_gate_holds_the_figures_it_touches_and_names_gap_and_owner(company: Company) -> None:
    before = {row_key(row): row for row in company.json("kpis")}
    strict = company.changed("strict.toml", ("[sandbox]", "[thresholds]\nhold_share = 0\n\n[sandbox]"))
    done = strict("run", exits=2)
    assert done.stderr == ""
    held, said = done.stdout.split("Held at their last good value, as not to be trusted now: ")[1].split(
        "\n", 1
    )
    assert "arr" in held.split(", ") and "win_rate" not in held.split(", ")
    assert "won deal(s) older than 7 days without a billing customer" in said
    assert "Fix (finance)" in said and "--accept won_without_billing --reason" in said
    after = {row_key(row): row for row in strict.json("kpis")}
    assert {row["kpi"] for row in after.values() if row["gate_status"] == "held"} == set(held.split(", "))
    for key, row in after.items():
        assert row | {"gate_status": None} == before[key] | {"gate_status": None}
    gaps = strict.json("gaps", "--severity", "critical", "--owner", "finance")
    assert {gap["gap_type"] for gap in gaps} == {"won_without_billing"}
    assert gaps[0]["holds"].startswith("revenue, ")


def row_key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[part] for part in ("kpi", "period", "period_start", "segment", "segment_value"))


def test_wrong_commands_and_reading_before_a_run_exit_with_1(company: Company, tmp_path: Path) -> None:
    for command, named in (
        (["run", "--fast"], "--fast"),
        (["kpis", "--period", "week"], "week"),
        (["fly"], "fly"),
        (["sandbox", "advance", "--days", "0"], "--days"),
    ):
        assert named in company(*command, exits=1).stderr
    fresh = Revops(tmp_path / "home", company.config)
    assert "no marts are published" in refused(fresh, "kpis")
    assert "no gaps are known" in refused(fresh, "gaps")
    for message in (refused(fresh, "kpis"), refused(fresh, "gaps")):
        assert "Run `revops run` first" in message
    assert "--kpi arrr: there is no such value; there is " in refused(company, "kpis", "--kpi", "arrr")
