"""Salesforce over real HTTP into a real warehouse: loads, reruns, edits, deletes, merges, sweeps, paging."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hubspot_portal import NOW, _deal, day
from salesforce_bench import Bench, served_bench  # type: ignore[import-not-found]

from ingestion import salesforce_session
from ingestion.salesforce_tables import column
from sandbox.api import salesforce as api
from sandbox.api import salesforce_objects as objects
from settings.errors import UserError


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with the small world in it: what most tests begin with."""
    with served_bench(tmp_path_factory.mktemp("first")) as bench:
        bench.load()
        return bench.home.warehouse


@pytest.fixture
def bench(tmp_path: Path, first: Path) -> Iterator[Bench]:
    with served_bench(tmp_path, first) as bench:
        yield bench


def test_first_load_is_the_whole_organisation_typed(bench: Bench) -> None:
    report = bench.load()

    assert {name: t.total for name, t in report.tables.items()} == {
        "users": 2,
        "record_types": 1,
        "opportunity_stages": 3,
        "accounts": 2,
        "contacts": 3,
        "leads": 2,
        "lead_history": 6,
        "opportunities": 3,
        "opportunity_contact_roles": 3,
        "opportunity_field_history": 4,
        "tasks": 4,
        "events": 1,
        "campaigns": 0,
        "campaign_members": 0,
    }
    assert report.warnings == []
    assert bench.rows(
        "select annual_revenue::text, number_of_employees, created_date, website "
        "from raw_salesforce.accounts where id = '11'"
    ) == [("1500000.500000000", 40, day(1), "https://www.globex.test/")]
    assert bench.rows("select id, system_modstamp from raw_salesforce.opportunities where is_deleted") == [
        ("33", day(40))
    ]
    assert bench.rows(
        "select old_value, new_value, created_date from raw_salesforce.opportunity_field_history "
        "where opportunity_id = '31' and field = 'StageName'"
    ) == [("qualified", "closedwon", day(30 + 9.5 / 24))]
    assert bench.rows(
        "select who_id, who_type, what_type, task_subtype from raw_salesforce.tasks where id = '42'"
    ) == [("21", "Contact", "Opportunity", "Call")]
    assert bench.rows("select user_role_name, is_active from raw_salesforce.users where id = '2'") == [
        ("sdr", False)
    ]
    bench.assert_same()


def test_rerun_without_changes_loads_nothing(bench: Bench) -> None:
    bench.begin()
    before = bench.rows("select * from raw_salesforce.opportunities order by id")

    assert bench.loaded() == {}
    assert bench.rows("select * from raw_salesforce.opportunities order by id") == before
    assert len(bench.rows("select * from raw_salesforce._dlt_loads")) == 1


def test_edit_loads_that_record_and_its_history_only(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Opportunity/32", StageName="closedlost", Loss_Reason__c="price")
    bench.send("PATCH", "Opportunity/31", OwnerId="2")

    report = bench.load()

    written = {name: t.loaded for name, t in report.tables.items() if t.loaded}
    assert written == {"opportunities": 2, "opportunity_field_history": 3}  # two of them for the owner
    assert report.tables["accounts"].extracted == 2  # the newest of before, again
    assert bench.rows(
        "select stage_name, is_closed, is_won, loss_reason_c from raw_salesforce.opportunities "
        "where id = '32'"
    ) == [("closedlost", True, False, "price")]
    assert bench.rows(
        "select old_value, new_value from raw_salesforce.opportunity_field_history where field = 'Owner' "
        "order by new_value"
    ) == [("1", "2"), ("Ann Ode", "Bob Roe")]
    bench.assert_same()


def test_late_commit_inside_the_lag_window_is_seen(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Account/11", at="2025-05-20T12:00:00+00:00", Industry="Retail")
    bench.load()
    bench.send("PATCH", "Account/12", at="2025-05-20T11:55:00+00:00", Industry="Retail")

    assert bench.loaded() == {"accounts": 1}
    bench.assert_same()


def test_deleted_record_is_marked(bench: Bench) -> None:
    bench.begin()
    bench.send("DELETE", "Account/12", at="2025-05-25T08:00:00+00:00")

    assert bench.loaded() == {"accounts": 1}
    assert bench.rows("select is_deleted, name from raw_salesforce.accounts where id = '12'") == [
        (True, "Initech")
    ]
    assert bench.loaded() == {}
    bench.assert_same()


def test_merged_contact_is_deleted_and_names_its_master(bench: Bench) -> None:
    bench.begin()
    loser = bench.world.crm.contacts[1]
    loser.merged_into, loser.archived_at = "21", day(100)

    assert bench.loaded() == {"contacts": 1, "leads": 1, "lead_history": 2, "opportunity_contact_roles": 2}
    assert bench.rows("select is_deleted, master_record_id from raw_salesforce.contacts where id = '22'") == [
        (True, "21")
    ]


def test_contact_roles_come_and_go(bench: Bench) -> None:
    bench.begin()
    bench.send("DELETE", "OpportunityContactRole/00K32C22", at="2025-05-21T00:00:00+00:00")
    bench.send("POST", "OpportunityContactRole", OpportunityId="32", ContactId="23")

    assert bench.loaded() == {"opportunity_contact_roles": 2}
    assert bench.rows(
        "select contact_id, is_deleted from raw_salesforce.opportunity_contact_roles "
        "where opportunity_id = '32' order by 1"
    ) == [("22", True), ("23", False)]


def test_purged_record_is_found_by_the_sweep(bench: Bench) -> None:
    bench.begin()
    del bench.world.crm.companies[1]

    assert bench.loaded(NOW + timedelta(days=13)) == {}
    assert bench.loaded(NOW + timedelta(days=14)) == {"accounts": 1}
    assert bench.rows("select id, is_deleted from raw_salesforce.accounts order by id") == [
        ("11", False),
        ("12", True),
    ]
    assert bench.loaded(NOW + timedelta(days=15)) == {}
    bench.assert_same(purged=frozenset({"12"}))


def test_locators_are_followed_to_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    small_batches(monkeypatch)
    assert bench.load().tables["opportunity_field_history"].total == 4
    assert sum("/query/01g" in path for path in bench.served.asked) > 10
    bench.assert_same()


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BATCH", (1, 2000))
    monkeypatch.setattr(salesforce_session, "BATCH_SIZE", 1)


def test_what_appears_while_a_list_is_read_is_loaded_next_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_batches(monkeypatch)
    real = objects.shown

    def shown(view: Any, name: str, record: Any, fields: list[str]) -> dict[str, Any]:
        body = real(view, name, record, fields)
        if name == "Opportunity" and len(fields) > 2 and len(bench.world.crm.deals) == 3:
            born = _deal("34", ["21"], "qualified")
            born.created_at = born.updated_at = day(60)
            bench.world.crm.deals.append(born)
            bench.world.crm.deals[2].updated_at = day(61)  # still to be read: the cursor must not follow it
        return body

    monkeypatch.setattr(objects, "shown", shown)
    assert bench.load().tables["opportunities"].total == 3
    bench.load()
    bench.assert_same()


def test_type_flip_names_table_column_and_types(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "Opportunity/32", Name="Other")
    bench.fault("flip_type", field="Amount", times=None)
    with pytest.raises(UserError, match=r"'opportunities', column 'amount'.*from decimal to list"):
        bench.load()
    bench.clear_faults()
    assert bench.rows("select name from raw_salesforce.opportunities where id = '32'") == [("Deal 32",)]
    assert bench.loaded() == {"opportunities": 1}


def test_new_field_is_announced_and_kept(bench: Bench) -> None:
    bench.fault("new_field", field="Score", times=None)
    warnings = bench.load().warnings
    assert any("'accounts': new field(s) 'score'" in warning for warning in warnings)
    assert bench.rows("select distinct _extra::text from raw_salesforce.accounts") == [('{"score":"new"}',)]


def test_columns_are_the_field_names_in_snake_case() -> None:
    assert [column(name) for name in ("AccountId", "MQL_Date__c", "Who.Type")] == [
        *("account_id", "mql_date_c", "who_type")
    ]
