"""What is read from Salesforce: objects, the fields asked for with their types, raw tables and their keys.

Columns are Salesforce's field names in snake case (`AccountId` is `account_id`, `MQL_Date__c` is
`mql_date_c`, `Who.Type` is `who_type`). Fields that not every organisation has are `optional`: read where the
organisation describes them, NULL elsewhere. Among them are custom fields for what Salesforce has no standard
one for; an organisation with other names changes them here and in the staging models:

- Account `Tax_Id__c`, `Billing_Customer_Id__c`;
- Contact `Lifecycle_Stage__c`;
- Lead `MQL_Date__c`, `SQL_Date__c`, `First_Response_Date__c` (dates or times), `Email_Campaign_Id__c`;
- Opportunity `Product__c`, `Loss_Reason__c`, `Billing_Subscription_Id__c`, `Email_Campaign_Id__c`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.core import COUNTS, COUNTS_SPEC, TableSpec
from ingestion.custom import raw_column


@dataclass(frozen=True)
class SObject:
    """An object and its fields (API name -> dlt data type).

    `cursor`: the field that moves when a record changes; None for the few records that are listed fully.
    `where`: the records wanted. `needed`: whether the load makes no sense without the object.
    """

    name: str
    description: str
    fields: dict[str, str]
    optional: frozenset[str] = frozenset()
    cursor: str | None = "SystemModstamp"
    where: str | None = None
    needed: bool = True


_RECORD = {"Id": "text", "IsDeleted": "bool", "CreatedDate": "timestamp", "SystemModstamp": "timestamp"}
#: Without IsDeleted: what happened to a record has happened, also once the record is deleted.
_CHANGE = {
    "Id": "text",
    "Field": "text",
    "OldValue": "text",
    "NewValue": "text",
    "CreatedDate": "timestamp",
}
#: Tracked fields of opportunities; the forecast category is there by its value or by its name.
TRACKED = ("StageName", "Amount", "CloseDate", "Owner", "ForecastCategory", "ForecastCategoryName")
_LINKS = {
    "WhoId": "text",
    "Who.Type": "text",
    "WhatId": "text",
    "What.Type": "text",
    "AccountId": "text",
    "OwnerId": "text",
}

OBJECTS: dict[str, SObject] = {
    "users": SObject(
        "User",
        "Internal users, who own records; deactivated ones included.",
        {
            "Id": "text",
            "Name": "text",
            "Email": "text",
            "IsActive": "bool",
            "Department": "text",
            "Division": "text",
            "Title": "text",
            "UserRole.Name": "text",
            "ManagerId": "text",
            "CreatedDate": "timestamp",
            "SystemModstamp": "timestamp",
        },
        optional=frozenset({"Department", "Division", "Title", "UserRole.Name", "ManagerId"}),
        cursor=None,  # a role that gets another name does not move the user's SystemModstamp
        where="UserType = 'Standard'",
    ),
    "record_types": SObject(
        "RecordType",
        "Record types of opportunities, which tell the pipelines apart.",
        {"Id": "text", "DeveloperName": "text", "Name": "text", "IsActive": "bool"},
        cursor=None,
        where="SobjectType = 'Opportunity'",
        needed=False,
    ),
    "opportunity_stages": SObject(
        "OpportunityStage",
        "Stages of opportunities, with their order, probability and whether they close or win one.",
        {
            "Id": "text",
            "ApiName": "text",
            "MasterLabel": "text",
            "SortOrder": "bigint",
            "IsActive": "bool",
            "IsClosed": "bool",
            "IsWon": "bool",
            "DefaultProbability": "decimal",
            "ForecastCategoryName": "text",
        },
        cursor=None,
    ),
    "accounts": SObject(
        "Account",
        "Accounts, deleted and merged ones included.",
        {
            **_RECORD,
            "Name": "text",
            "Website": "text",
            "BillingCountry": "text",
            "BillingCountryCode": "text",
            "Industry": "text",
            "NumberOfEmployees": "bigint",
            "AnnualRevenue": "decimal",
            "Type": "text",
            "OwnerId": "text",
            "ParentId": "text",
            "MasterRecordId": "text",
            "Tax_Id__c": "text",
            "Billing_Customer_Id__c": "text",
        },
        # Country codes: only with state and country picklists.
        optional=frozenset({"BillingCountryCode", "Tax_Id__c", "Billing_Customer_Id__c"}),
    ),
    "contacts": SObject(
        "Contact",
        "Contacts, deleted and merged ones included.",
        {
            **_RECORD,
            "AccountId": "text",
            "Email": "text",
            "FirstName": "text",
            "LastName": "text",
            "Title": "text",
            "HasOptedOutOfEmail": "bool",
            "OwnerId": "text",
            "MasterRecordId": "text",
            "Lifecycle_Stage__c": "text",
        },
        optional=frozenset({"HasOptedOutOfEmail", "Lifecycle_Stage__c"}),
    ),
    "leads": SObject(
        "Lead",
        "Leads, converted, deleted and merged ones included.",
        {
            **_RECORD,
            "Email": "text",
            "FirstName": "text",
            "LastName": "text",
            "Company": "text",
            "Status": "text",
            "LeadSource": "text",
            "OwnerId": "text",
            "Owner.Type": "text",
            "IsConverted": "bool",
            "ConvertedDate": "date",
            "ConvertedAccountId": "text",
            "ConvertedContactId": "text",
            "ConvertedOpportunityId": "text",
            "MasterRecordId": "text",
            "FirstCallDateTime": "timestamp",
            "FirstEmailDateTime": "timestamp",
            "MQL_Date__c": "timestamp",
            "SQL_Date__c": "timestamp",
            "First_Response_Date__c": "timestamp",
            "Email_Campaign_Id__c": "text",
        },
        # First call and e-mail: only with Sales Engagement.
        optional=frozenset(
            {
                *("FirstCallDateTime", "FirstEmailDateTime", "MQL_Date__c", "SQL_Date__c"),
                *("First_Response_Date__c", "Email_Campaign_Id__c"),
            }
        ),
    ),
    "lead_history": SObject(
        "LeadHistory",
        "Changes of a lead's status, and its conversion.",
        {**_CHANGE, "LeadId": "text"},
        cursor="CreatedDate",
        where="Field IN ('Status', 'leadConverted')",
        needed=False,
    ),
    "opportunities": SObject(
        "Opportunity",
        "Opportunities, deleted ones included.",
        {
            **_RECORD,
            "Name": "text",
            "AccountId": "text",
            "ContactId": "text",
            "OwnerId": "text",
            "RecordTypeId": "text",
            "CampaignId": "text",
            "StageName": "text",
            "IsClosed": "bool",
            "IsWon": "bool",
            "Amount": "decimal",
            "CurrencyIsoCode": "text",
            "Probability": "decimal",
            "ForecastCategoryName": "text",
            "Type": "text",
            "LeadSource": "text",
            "CloseDate": "date",
            "LastStageChangeDate": "timestamp",
            "Product__c": "text",
            "Loss_Reason__c": "text",
            "Billing_Subscription_Id__c": "text",
            "Email_Campaign_Id__c": "text",
        },
        # A currency: only with several currencies. A record type: only with record types.
        optional=frozenset(
            {
                *("ContactId", "RecordTypeId", "CampaignId", "CurrencyIsoCode", "LastStageChangeDate"),
                *("Product__c", "Loss_Reason__c", "Billing_Subscription_Id__c", "Email_Campaign_Id__c"),
            }
        ),
    ),
    "opportunity_contact_roles": SObject(
        "OpportunityContactRole",
        "Contacts on opportunities, one row per role, removed ones included.",
        {
            **_RECORD,
            "OpportunityId": "text",
            "ContactId": "text",
            "Role": "text",
            "IsPrimary": "bool",
        },
    ),
    "opportunity_field_history": SObject(
        "OpportunityFieldHistory",
        "Changes of an opportunity's stage, amount, close date, owner and forecast category.",
        {**_CHANGE, "OpportunityId": "text"},
        cursor="CreatedDate",
        where=f"Field IN {TRACKED}",
        needed=False,
    ),
    "tasks": SObject(
        "Task",
        "Calls, e-mails and other tasks, archived and deleted ones included.",
        {
            **_RECORD,
            **_LINKS,
            "TaskSubtype": "text",
            "Type": "text",
            "CallType": "text",
            "ActivityDate": "date",
            "CompletedDateTime": "timestamp",
        },
        optional=frozenset({"Type", "CallType", "CompletedDateTime"}),
    ),
    "events": SObject(
        "Event",
        "Meetings, archived and deleted ones included, without the copies of their invitees.",
        {**_RECORD, **_LINKS, "StartDateTime": "timestamp"},
        where="IsChild = false",
    ),
    "campaigns": SObject(
        "Campaign",
        "Campaigns, with what they were planned to cost and did cost.",
        {
            **_RECORD,
            "Name": "text",
            "Type": "text",
            "StartDate": "date",
            "EndDate": "date",
            "BudgetedCost": "decimal",
            "ActualCost": "decimal",
            "CurrencyIsoCode": "text",
        },
        optional=frozenset({"CurrencyIsoCode"}),
        needed=False,
    ),
    "campaign_members": SObject(
        "CampaignMember",
        "Leads and contacts in campaigns.",
        {
            **_RECORD,
            "CampaignId": "text",
            "LeadId": "text",
            "ContactId": "text",
            "Email": "text",
            "Status": "text",
            "FirstRespondedDate": "date",
        },
        optional=frozenset({"Email"}),
        needed=False,
    ),
}


def column(field: str) -> str:
    """A field's column: its API name as dlt writes it."""
    return raw_column(field)


#: Raw tables whose rows are those of contract tables.
_FILLS = ("accounts", "contacts", "leads", "opportunities", "campaigns")


def _table(name: str, its: SObject) -> TableSpec:
    columns = {column(field): kind for field, kind in its.fields.items()} | {"is_deleted": "bool"}
    newest_by = column(its.cursor) if its.cursor else None
    return TableSpec(
        its.description,
        ("id",),
        columns,
        complete=its.cursor is None,
        newest_by=newest_by,
        fills=(name,) if name in _FILLS else (),
    )


TABLES: dict[str, TableSpec] = {
    **{name: _table(name, its) for name, its in OBJECTS.items()},
    COUNTS: COUNTS_SPEC,
}
