"""Real Salesforce exports (Nonprofit Success Pack) through connector and staging, against the files.

The rows are served by a small server in Salesforce's shape. Their quirks: more accounts of one name, contacts
without e-mail or with one of somebody else, closed opportunities without history, stages nobody keeps a
forecast for, a contact twice on one opportunity, two primary contacts, opportunities without any.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import vendor_bench
from salesforce_org import Org
from serving import serving

from ingestion.core import LoadReport, load_source
from settings.config import SourceConfig
from settings.paths import Home

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("REVOPS_REAL_DATA") or ROOT.parent / "shared" / "data") / "npsp"
RECORD = {
    "IsDeleted": False,
    "CreatedDate": "2019-12-01T08:00:00.000+0000",
    "SystemModstamp": "2019-12-01T08:00:00.000+0000",
}
OWNER = "0052a000000ABCD"
RECORDED_AT = datetime(2020, 1, 1, tzinfo=UTC)


def export(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stage(name: str, **more: Any) -> dict[str, Any]:
    return {"Id": f"01J{name}", "ApiName": name, "MasterLabel": name, "IsActive": True, **more}


def organisation() -> dict[str, list[dict[str, Any]]]:
    """The files' rows under Salesforce's field names, and what every record has besides."""
    contacts = [
        {
            "Id": row["id"],
            "AccountId": row["account_id"],
            "Email": row["Email"] or None,
            **{name: row[name] or None for name in ("FirstName", "LastName", "Title")},
        }
        for row in export("Contact")
    ]
    opportunities = [
        {
            "Id": row["id"],
            "Name": row["name"],
            "AccountId": row["account_id"],
            "OwnerId": OWNER,
            "Amount": float(row["amount"]),
            "StageName": row["stage_name"],
            "IsClosed": row["stage_name"] == "Closed Won",
            "IsWon": row["stage_name"] == "Closed Won",
            "CloseDate": row["close_date"],
            "CampaignId": row["campaign_id"] or None,
            "npsp__Primary_Contact__c": row["primary_contact__c"] or None,
        }
        for row in export("Opportunity")
    ]
    roles = [
        {
            "Id": row["id"],
            "OpportunityId": row["opportunity_id"],
            "ContactId": row["contact_id"],
            "Role": row["Role"],
            "IsPrimary": row["IsPrimary"] == "true",
        }
        for row in export("OpportunityContactRole")
    ]
    members = [
        {"Id": r["id"], "CampaignId": r["campaign_id"], "ContactId": r["contact_id"], "Status": r["status"]}
        for r in export("CampaignMember")
    ]
    accounts = [
        {"Id": r["id"], "Name": r["Name"], "BillingCountry": r["BillingCountry"] or None}
        for r in export("Account")
    ]
    campaigns = [{"Id": row["id"], "Name": row["name"]} for row in export("Campaign")]
    dated: dict[str, list[dict[str, Any]]] = {
        "Account": accounts,
        "Contact": contacts,
        "Opportunity": opportunities,
        "OpportunityContactRole": roles,
        "Campaign": campaigns,
        "CampaignMember": members,
        "Lead": [],
        "Task": [],
        "Event": [],
    }
    user = {"Id": OWNER, "Name": "Sam Fund", "Email": "Sam@npsp.test", "IsActive": True}
    return {name: [RECORD | row for row in rows] for name, rows in dated.items()} | {
        "User": [user | {"UserType": "Standard"}],
        "OpportunityStage": [
            stage("Closed Won", IsClosed=True, IsWon=True, SortOrder=2, DefaultProbability=100.0),
            stage("Pledged", IsClosed=False, IsWon=False, SortOrder=1, DefaultProbability=75.0),
        ],
    }


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, LoadReport]:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is absent; REVOPS_REAL_DATA says where the real data is")
    home = Home(tmp_path_factory.mktemp("npsp"))
    with serving(Org(organisation(), batch=500).app()) as address:
        config = SourceConfig(name="npsp", silo="crm", type="salesforce", base_url=address)
        report = load_source(config, RECORDED_AT, home)
        assert not any(t.loaded for t in load_source(config, RECORDED_AT, home).tables.values())
    vendor_bench.build_staging(home, "salesforce", "npsp", RECORDED_AT)
    return home, report


def rows(loaded: tuple[Home, LoadReport], query: str) -> list[tuple[Any, ...]]:
    return vendor_bench.rows(loaded[0].warehouse, query.replace("stg_", "staging.stg_"))


def test_every_row_arrives(loaded: tuple[Home, LoadReport]) -> None:
    tables = {name: t.total for name, t in loaded[1].tables.items() if t.total}
    assert tables == {
        "users": 1,
        "opportunity_stages": 2,
        "accounts": 1223,
        "contacts": 1024,
        "opportunities": 1517,
        "opportunity_contact_roles": 3499,
        "campaigns": 13,
        "campaign_members": 1699,
        "_counts": 9,
    }
    # An organisation without record types and field history still loads, and says what it lacks.
    assert [w.split("object ")[1].split(",")[0] for w in loaded[1].warnings] == [
        *("RecordType", "LeadHistory", "OpportunityFieldHistory")
    ]


def test_accounts_keep_names_that_are_alike_and_letters_of_every_alphabet(
    loaded: tuple[Home, LoadReport],
) -> None:
    names = Counter(row["Name"] for row in export("Account"))
    assert (
        Counter(dict(rows(loaded, "select name, count(*) from stg_salesforce__accounts group by 1"))) == names
    )
    assert names["Jenkins Household"] == 10
    giving = {row["account_id"] for row in export("Opportunity") if row["stage_name"] == "Closed Won"}
    stages = dict(rows(loaded, "select lifecycle_stage, count(*) from stg_salesforce__accounts group by 1"))
    assert stages["customer"] == len(giving)
    assert sum(stages.values()) == 1223
    (nowhere,) = rows(loaded, "select count(*) from stg_salesforce__accounts where country is null")
    assert nowhere == (343,)


def test_contacts_without_an_address_have_none(loaded: tuple[Home, LoadReport]) -> None:
    assert rows(
        loaded,
        "select count(*), count(email), count(distinct email), bool_and(email = lower(email)), "
        "count(account_id) from stg_salesforce__contacts",
    ) == [(1024, 470, 457, True, 1024)]
    assert rows(
        loaded,
        "select first_name, last_name, job_title, email, account_id from stg_salesforce__contacts "
        "where contact_id in ('1', '3') order by contact_id",
    ) == [
        ("Amy", "Diaz", "Internal Auditor", None, "619"),
        ("Mary", "Greene", None, "mgreenecg@i2i.jp", "82"),
    ]


def test_opportunities_close_on_a_day_only(loaded: tuple[Home, LoadReport]) -> None:
    total = sum(Decimal(row["amount"]) for row in export("Opportunity"))
    assert rows(
        loaded,
        "select count(*), sum(amount), count(*) filter (outcome = 'won'), "
        "count(*) filter (outcome = 'open'), count(closed_at), count(currency), min(close_date)::text, "
        "max(close_date)::text, any_value(pipeline) from stg_salesforce__opportunities",
    ) == [(1517, total, 1516, 1, 0, 0, "2016-02-01", "2019-11-04", "default")]
    assert rows(
        loaded,
        "select name, amount::text, stage, close_date::text, account_id, primary_contact_id "
        "from stg_salesforce__opportunities where opportunity_id = '1'",
    ) == [("Rebecca Porter: $811", "811.0000", "Closed Won", "2016-11-25", "2", "894")]


def test_a_contact_twice_on_an_opportunity_is_there_once(loaded: tuple[Home, LoadReport]) -> None:
    roles = export("OpportunityContactRole")
    pairs = {(row["opportunity_id"], row["contact_id"]) for row in roles}
    (counted,) = rows(
        loaded, "select count(*), count(distinct opportunity_id) from stg_salesforce__opportunity_contacts"
    )
    assert counted == (len(pairs), 1325) == (3498, 1325)
    ours = dict(rows(loaded, "select opportunity_id, primary_contact_id from stg_salesforce__opportunities"))
    theirs = {row["id"]: row["primary_contact__c"] for row in export("Opportunity")}
    assert all(ours[key] == contact for key, contact in theirs.items() if contact)
    assert sum(contact is None for contact in ours.values()) == 1517 - 1325
    primary = Counter(row["opportunity_id"] for row in roles if row["IsPrimary"] == "true")
    (twice,) = [key for key, count in primary.items() if count > 1]
    assert rows(
        loaded,
        "select count(*) from stg_salesforce__opportunity_contacts "
        f"where opportunity_id = '{twice}' and is_primary",
    ) == [
        (len({r["contact_id"] for r in roles if r["opportunity_id"] == twice and r["IsPrimary"] == "true"}),)
    ]


def test_history_begins_with_the_present_where_nothing_is_tracked(loaded: tuple[Home, LoadReport]) -> None:
    assert rows(
        loaded,
        "select field, count(*), count(old_value) from stg_salesforce__opportunity_history "
        "group by 1 order by 1",
    ) == [(field, 1517, 0) for field in ("amount", "close_date", "owner_id", "stage")]
    assert rows(
        loaded,
        "select pipeline, stage, position, probability::text, outcome from stg_salesforce__stages order by 3",
    ) == [("default", "Pledged", 1, "0.7500", "open"), ("default", "Closed Won", 2, "1.0000", "won")]


def test_campaign_members_have_their_contacts_address(loaded: tuple[Home, LoadReport]) -> None:
    assert rows(
        loaded,
        "select count(*), count(distinct campaign_id), count(contact_id), "
        "count(email) filter (campaign_id = '13') from stg_salesforce__campaign_members",
    ) == [(1699, 13, 1699, 470)]
    assert rows(loaded, "select name from stg_salesforce__campaigns where campaign_id = '1'") == [
        ("Jan 2015 Meeting",)
    ]
