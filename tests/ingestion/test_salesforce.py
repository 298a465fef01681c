"""Salesforce over real HTTP into a real warehouse: loads, reruns, edits, deletes, merges, sweeps, paging."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from crm_world import NOW, day, small_world
from vendor_bench import Bench, served, written
from vendor_state import assert_same

from ingestion import salesforce_session
from ingestion.salesforce_tables import column
from sandbox.api import salesforce as api


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with served("salesforce", small_world, tmp_path) as bench:
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
        "_counts": 9,
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
    assert_same(bench)


def test_edit_loads_that_record_and_its_history_only(bench: Bench) -> None:
    bench.begin()
    bench.send("PATCH", "sobjects/Opportunity/32", StageName="closedlost", Loss_Reason__c="price")
    bench.send("PATCH", "sobjects/Opportunity/31", OwnerId="2")

    report = bench.load()

    assert written(report) == {
        "opportunities": 2,
        "opportunity_field_history": 3,
    }  # two of them for the owner
    assert report.tables["accounts"].extracted == 2  # the newest of before, again
    assert bench.rows(
        "select stage_name, is_closed, is_won, loss_reason_c from raw_salesforce.opportunities "
        "where id = '32'"
    ) == [("closedlost", True, False, "price")]
    assert bench.rows(
        "select old_value, new_value from raw_salesforce.opportunity_field_history where field = 'Owner' "
        "order by new_value"
    ) == [("1", "2"), ("Ann Ode", "Bob Roe")]
    assert_same(bench)


def test_merged_contact_is_deleted_and_names_its_master(bench: Bench) -> None:
    bench.begin()
    loser = bench.world.crm.contacts[1]
    loser.merged_into, loser.archived_at = "21", day(100)

    assert bench.loaded() == {"contacts": 1, "leads": 1, "opportunity_contact_roles": 2}
    assert bench.rows("select is_deleted, master_record_id from raw_salesforce.contacts where id = '22'") == [
        (True, "21")
    ]


def test_contact_roles_come_and_go(bench: Bench) -> None:
    bench.begin()
    bench.send("DELETE", "sobjects/OpportunityContactRole/00K32C22", at="2025-05-21T00:00:00+00:00")
    bench.send("POST", "sobjects/OpportunityContactRole", OpportunityId="32", ContactId="23")

    assert bench.loaded() == {"opportunity_contact_roles": 2}
    assert bench.rows(
        "select contact_id, is_deleted from raw_salesforce.opportunity_contact_roles "
        "where opportunity_id = '32' order by 1"
    ) == [("22", True), ("23", False)]


def test_purged_record_is_found_when_fewer_are_counted(bench: Bench) -> None:
    bench.begin()
    del bench.world.crm.companies[1]

    assert bench.loaded() == {"accounts": 1}
    assert bench.rows("select id, is_deleted from raw_salesforce.accounts order by id") == [
        ("11", False),
        ("12", True),
    ]
    assert bench.loaded() == {}
    assert_same(bench)


def test_purged_record_whose_place_another_took_is_found_by_the_sweep(bench: Bench) -> None:
    bench.begin()
    bench.world.crm.companies[1].id, bench.world.crm.companies[1].updated_at = "13", day(0)

    assert bench.loaded(NOW + timedelta(days=13)) == {}
    assert bench.loaded(NOW + timedelta(days=14)) == {"accounts": 1}
    assert bench.rows("select id, is_deleted from raw_salesforce.accounts order by id") == [
        ("11", False),
        ("12", True),
    ]
    assert bench.loaded(NOW + timedelta(days=15)) == {}


def test_locators_are_followed_to_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BATCH", (1, 2000))
    monkeypatch.setattr(salesforce_session, "BATCH_SIZE", 1)
    assert bench.load().tables["opportunity_field_history"].total == 4
    assert sum("/query/01g" in path for path in bench.served.asked) > 10
    assert_same(bench)


def test_columns_are_the_field_names_in_snake_case() -> None:
    assert [column(name) for name in ("AccountId", "MQL_Date__c", "Who.Type")] == [
        *("account_id", "mql_date_c", "who_type")
    ]
