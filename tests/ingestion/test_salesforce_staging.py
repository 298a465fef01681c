"""What Salesforce organisations do that the sandbox company does not, through connector and staging."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from salesforce_org import Org
from serving import serving
from vendor_bench import build_staging, staging

from ingestion.core import load_source
from settings.config import SourceConfig
from settings.paths import Home

NOW = datetime(2026, 2, 1, tzinfo=UTC)
Read = Callable[..., list[tuple[Any, ...]]]
ADA, BOB = "0058d00000ADAAAQ", "0058d00000BOBAAQ"


def at(day: int, hour: int = 0) -> str:
    return f"2026-01-{day:02d}T{hour:02d}:00:00.000+0000"


def record(key: str, day: int = 1, **fields: Any) -> dict[str, Any]:
    moments = {"CreatedDate": at(day), "SystemModstamp": at(day)}
    return {"Id": key, "IsDeleted": False, **moments, **fields}


def change(key: str, field: str, day: int, old: Any, new: Any, hour: int = 0, **of: str) -> dict[str, Any]:
    values = {"Field": field, "OldValue": old, "NewValue": new, "CreatedDate": at(day, hour)}
    return {"Id": key, "IsDeleted": False, **values, **of}


def opportunity(key: str, **fields: Any) -> dict[str, Any]:
    common: dict[str, Any] = {
        "AccountId": "a1",
        "OwnerId": ADA,
        "StageName": "Open",
        "IsClosed": False,
        "IsWon": False,
        "Amount": 100.5,
        "CloseDate": "2026-02-01",
        "ForecastCategoryName": "Best Case",
        "Probability": 40.0,
    }
    return record(key, **common | fields)


def history(key: str, field: str, day: int, old: Any, new: Any, hour: int = 0) -> dict[str, Any]:
    return change(key, field, day, old, new, hour, OpportunityId="o1")


ROWS: dict[str, list[dict[str, Any]]] = {
    "User": [
        {"Id": key, "Name": name, "Email": f"{name}@acme.test", "IsActive": True, "Title": "AE"}
        | {"Department": None, "UserRole.Name": role, "SystemModstamp": at(1), "UserType": "Standard"}
        for key, name, role in ((ADA, "Ada", "Sales EMEA"), (BOB, "Bob", None))
    ],
    "RecordType": [
        {"Id": "012A", "DeveloperName": "Direct", "SobjectType": "Opportunity", "IsActive": True},
        {"Id": "012B", "DeveloperName": "Partner", "SobjectType": "Case", "IsActive": True},
    ],
    "OpportunityStage": [
        {"Id": f"01J{n}", "ApiName": name, "MasterLabel": name, "IsActive": n != 3, "SortOrder": n}
        | {"IsClosed": name != "Open", "IsWon": name == "Won", "DefaultProbability": 100.0 * (name == "Won")}
        for n, name in enumerate(("Open", "Won", "Lost", "Open"))
    ],
    "Account": [
        record("a1", Name="One", Website="http://www.One.test/en?x=1", Type=None),
        record("a2", Name="Two", Website="two.test", Type="Customer - Channel", BillingCountry="Germany"),
        record("a3", Name="Three", Website=None, Type="Prospect", BillingCountryCode="DE"),
        record("a4", Name="Four", Type="Installation Partner"),
        record("a5", Name="Five", Type="Prospect", MasterRecordId="a3") | {"IsDeleted": True},
    ],
    "Contact": [record("c1", AccountId="a1", Email="Pat@One.test ", LastName="One")],
    "Lead": [
        record("l1", Email="Q@queue.test", OwnerId="00G1", Status="Open") | {"Owner.Type": "Queue"},
        record("l2", 2, OwnerId=ADA, Status="Closed - Converted")
        | {
            "Owner.Type": "User",
            "IsConverted": True,
            "ConvertedDate": "2026-01-09",
            "ConvertedContactId": "c1",
        },
        record("l3", 2, OwnerId=ADA, Status="Qualified")
        | {
            "Owner.Type": "User",
            "IsConverted": True,
            "ConvertedDate": "2026-01-08",
            "FirstCallDateTime": at(4),
        }
        | {"FirstEmailDateTime": at(3), "MQL_Date__c": "2026-01-02"},
    ],
    "LeadHistory": [
        change("h1", "Status", 3, "Open", "Marketing Qualified", LeadId="l2"),
        change("h2", "Status", 5, "Marketing Qualified", "SQL - accepted", LeadId="l2"),
        change("h3", "Status", 7, "Open", "Marketing Qualified", LeadId="l2"),
        change("h4", "leadConverted", 9, None, None, 13, LeadId="l2"),
        change("h5", "Status", 6, "Open", "MQL", LeadId="l3"),
    ],
    "Opportunity": [
        opportunity("o1", StageName="Won", IsClosed=True, IsWon=True, OwnerId=BOB, RecordTypeId="012A")
        | {"LastStageChangeDate": at(20), "Type": "Existing Customer - Upgrade", "CampaignId": "701A"},
        opportunity("o2", Type="Renewal", RecordTypeId=None, Amount=None, ForecastCategoryName="Commit"),
        opportunity("o3", StageName="Lost", IsClosed=True, Type="New Customer", AccountId="a3")
        | {"LastStageChangeDate": at(21), "Email_Campaign_Id__c": "9", "RecordTypeId": None},
    ],
    "OpportunityContactRole": [
        record("r1", OpportunityId="o1", ContactId="c1", Role="Evaluator", IsPrimary=False),
        record("r2", 2, OpportunityId="o1", ContactId="c1", Role="Decision Maker", IsPrimary=True),
        record("r3", OpportunityId="o2", ContactId="c1", Role="Other", IsPrimary=True) | {"IsDeleted": True},
    ],
    "OpportunityFieldHistory": [
        history("f1", "StageName", 5, "Open", "Won"),
        history("f2", "StageName", 6, "Won", "Open"),
        history("f3", "StageName", 20, "Open", "Lost", hour=9),
        history("f4", "StageName", 20, "Lost", "Won", hour=9),
        history("f5", "Owner", 7, "Ada", "Bob"),
        history("f6", "Owner", 7, ADA, BOB),
        history("f7", "Amount", 8, None, 1.5e3),
        history("f8", "Amount", 9, 1500.0, 100.5),
        history("f9", "CloseDate", 9, "2026-01-15", "2026-02-01"),
        history("g0", "ForecastCategory", 9, "Pipeline", "BestCase"),
    ],
    "Task": [
        record(
            "t1", WhoId="l1", OwnerId=ADA, TaskSubtype="Call", CallType="Inbound", ActivityDate="2026-01-04"
        )
        | {"Who.Type": "Lead", "What.Type": None},
        record("t2", WhoId="c1", WhatId="o1", OwnerId=ADA, TaskSubtype="ListEmail", CompletedDateTime=at(6))
        | {"Who.Type": "Contact", "What.Type": "Opportunity"},
        record("t3", 3, WhatId="500X", OwnerId=ADA, TaskSubtype="Task", Type="Other")
        | {"Who.Type": None, "What.Type": "Case"},
    ],
    "Event": [
        record("e1", WhatId="o1", OwnerId=ADA, IsChild=False, StartDateTime=at(8))
        | {"What.Type": "Opportunity"},
        record("e2", WhatId="o1", OwnerId=BOB, IsChild=True, StartDateTime=at(8))
        | {"What.Type": "Opportunity"},
    ],
    "Campaign": [record("701A", Name="Expo", Type="Event", StartDate="2026-01-10", ActualCost=99.9)],
    "CampaignMember": [
        record("m1", CampaignId="701A", LeadId="l1", Status="Responded", FirstRespondedDate="2026-01-11")
    ],
}


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Read:
    home = Home(tmp_path_factory.mktemp("org"))
    with serving(Org(ROWS, batch=2).app()) as address:
        config = SourceConfig(name="org", silo="crm", type="salesforce", base_url=address)
        assert load_source(config, NOW, home).warnings == []
    build_staging(home, "salesforce", "org", NOW)
    return staging(home, "salesforce")


def test_owners_have_the_name_of_their_role_else_their_title(org: Read) -> None:
    assert org("owners", "name, email, role, team") == [
        ("Ada", "ada@acme.test", "Sales EMEA", None),
        ("Bob", "bob@acme.test", "AE", None),
    ]


def test_an_accounts_type_and_opportunities_tell_its_stage(org: Read) -> None:
    assert org("accounts", "account_id, domain, country, lifecycle_stage, is_deleted") == [
        ("a1", "one.test", None, "customer", False),
        ("a2", "two.test", "Germany", "customer", False),
        ("a3", None, "DE", "opportunity", False),
        ("a4", None, None, "other", False),
        ("a5", None, None, "lead", True),
    ]


def test_leads_are_dated_by_custom_fields_or_by_their_history(org: Read) -> None:
    columns = "lead_id, owner_id, mql_at::text, sql_at::text, first_response_at::text, converted_at::text"
    assert org("leads", columns) == [
        ("l1", None, None, None, None, None),
        ("l2", ADA, "2026-01-03 00:00:00+00", "2026-01-05 00:00:00+00", None, "2026-01-09 13:00:00+00"),
        (
            *("l3", ADA, "2026-01-02 00:00:00+00", None),
            *("2026-01-03 00:00:00+00", "2026-01-08 00:00:00+00"),
        ),
    ]


def test_history_begins_with_what_the_first_change_replaced(org: Read) -> None:
    found = org(
        "opportunity_history",
        "opportunity_id, field, date_part('day', changed_at), old_value, new_value",
        order="1, 2, 3",
    )
    assert [row[1:] for row in found if row[0] == "o1"] == [
        ("amount", 8, None, "1500.0000"),
        ("amount", 9, "1500.0000", "100.5000"),
        ("close_date", 1, None, "2026-01-15"),
        ("close_date", 9, "2026-01-15", "2026-02-01"),
        ("forecast_category", 1, None, "pipeline"),
        ("forecast_category", 9, "pipeline", "best_case"),
        ("owner_id", 1, None, ADA),
        ("owner_id", 7, ADA, BOB),
        ("stage", 1, None, "Open"),
        ("stage", 5, "Open", "Won"),
        ("stage", 6, "Won", "Open"),
        ("stage", 20, "Open", "Won"),
    ]
    assert [row[1:] for row in found if row[0] == "o2"] == [
        ("close_date", 1, None, "2026-02-01"),
        ("forecast_category", 1, None, "commit"),
        ("owner_id", 1, None, ADA),
        ("stage", 1, None, "Open"),
    ]


def test_opportunities(org: Read) -> None:
    columns = (
        "opportunity_id, pipeline, outcome, opportunity_type, forecast_category, probability::text, "
        "campaign_id, primary_contact_id, closed_at::text"
    )
    assert org("opportunities", columns) == [
        (
            *("o1", "Direct", "won", "expansion", "best_case", "0.4000", "701A", "c1"),
            "2026-01-20 09:00:00+00",
        ),
        ("o2", "default", "open", "renewal", "commit", "0.4000", None, None, None),
        (
            *("o3", "default", "lost", "new_business", "best_case", "0.4000", "9", None),
            "2026-01-21 00:00:00+00",
        ),
    ]
    assert org("opportunity_contacts", "opportunity_id, role, is_primary, is_deleted") == [
        ("o1", "Decision Maker", True, False),
        ("o2", "Other", True, True),
    ]
    assert org("stages", "pipeline, stage, position, outcome", order="1, 3") == [
        (pipeline, stage, position, outcome)
        for pipeline in ("Direct", "default")
        for stage, position, outcome in (("Open", 0, "open"), ("Won", 1, "won"), ("Lost", 2, "lost"))
    ]


def test_activities(org: Read) -> None:
    columns = (
        "activity_id, activity_type, direction, is_automated, contact_id, lead_id, opportunity_id, "
        "date_part('day', occurred_at)"
    )
    assert org("activities", columns) == [
        ("e1", "meeting", None, False, None, None, "o1", 8),
        ("t1", "call", "inbound", False, None, "l1", None, 4),
        ("t2", "email", None, True, "c1", "l2", "o1", 6),
        ("t3", "task", None, False, None, None, None, 3),
    ]


def test_campaigns(org: Read) -> None:
    assert org("campaigns", "campaign_id, channel, started_at::text, actual_cost::text") == [
        ("701A", "Event", "2026-01-10 00:00:00+00", "99.9000")
    ]
    assert org("campaign_members", "member_id, lead_id, email, first_responded_at::text") == [
        ("m1", "l1", "q@queue.test", "2026-01-11 00:00:00+00")
    ]
