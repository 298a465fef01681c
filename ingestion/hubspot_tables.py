"""What is read from HubSpot: properties asked for and their types, raw tables and their keys.

A portal with other names for the custom properties (marked below) changes them here and in the staging
models.
"""

from __future__ import annotations

from ingestion.core import COUNTS, COUNTS_SPEC, TableSpec

#: Engagement types, all landing in `activities`.
ACTIVITIES = ("calls", "emails", "meetings", "notes", "tasks")

#: The property that moves when a record changes; `hs_lastmodifieddate` elsewhere.
CURSORS = {"contacts": "lastmodifieddate"}

#: Deal properties read with every value they ever had.
HISTORY_PROPERTIES = (
    "dealstage",
    "amount",
    "closedate",
    "hubspot_owner_id",
    "hs_manual_forecast_category",
)

#: What HubSpot documents of a record, an owner and a stage; fields beyond these are announced.
OBJECT_FIELDS = {
    *("id", "properties", "propertiesWithHistory", "associations", "createdAt", "updatedAt"),
    *("archived", "archivedAt", "url", "objectWriteTraceId"),
}
OWNER_FIELDS = {
    *("id", "email", "type", "firstName", "lastName", "userId", "userIdIncludingInactive"),
    *("teams", "archived", "createdAt", "updatedAt"),
}
STAGE_FIELDS = {
    *("id", "label", "displayOrder", "metadata", "writePermissions"),
    *("archived", "archivedAt", "createdAt", "updatedAt"),
}

#: Properties by object, with their types.
OBJECTS: dict[str, dict[str, str]] = {
    "companies": {
        "name": "text",
        "domain": "text",
        "country": "text",
        "industry": "text",
        "numberofemployees": "bigint",
        "annualrevenue": "decimal",
        "hubspot_owner_id": "text",
        "lifecyclestage": "text",
        "hs_parent_company_id": "text",
        "tax_id": "text",  # custom
        "stripe_customer_id": "text",  # custom
        "hs_merged_object_ids": "text",
        "createdate": "timestamp",
        "hs_lastmodifieddate": "timestamp",
    },
    "contacts": {
        "email": "text",
        "firstname": "text",
        "lastname": "text",
        "jobtitle": "text",
        "associatedcompanyid": "text",
        "hubspot_owner_id": "text",
        "lifecyclestage": "text",
        "hs_lifecyclestage_subscriber_date": "timestamp",
        "hs_lifecyclestage_lead_date": "timestamp",
        "hs_lifecyclestage_marketingqualifiedlead_date": "timestamp",
        "hs_lifecyclestage_salesqualifiedlead_date": "timestamp",
        "hs_lifecyclestage_opportunity_date": "timestamp",
        "hs_lifecyclestage_customer_date": "timestamp",
        "hs_email_optout": "bool",
        "hs_sa_first_engagement_date": "timestamp",
        "lead_source": "text",  # custom
        "email_campaign_id": "text",  # custom
        "hs_merged_object_ids": "text",
        "createdate": "timestamp",
        "lastmodifieddate": "timestamp",
    },
    "deals": {
        "dealname": "text",
        "amount": "decimal",
        "deal_currency_code": "text",
        "closedate": "timestamp",
        "dealstage": "text",
        "pipeline": "text",
        "dealtype": "text",
        "hubspot_owner_id": "text",
        "hs_manual_forecast_category": "text",
        "closed_lost_reason": "text",
        "opportunity_type": "text",  # custom
        "product": "text",  # custom
        "lead_source": "text",  # custom
        "email_campaign_id": "text",  # custom
        "stripe_subscription_id": "text",  # custom
        "hs_merged_object_ids": "text",
        "createdate": "timestamp",
        "hs_lastmodifieddate": "timestamp",
    },
    "activities": {
        "hs_timestamp": "timestamp",
        "hubspot_owner_id": "text",
        "hs_object_source": "text",
        "hs_call_direction": "text",
        "hs_email_direction": "text",
        "hs_createdate": "timestamp",
        "hs_lastmodifieddate": "timestamp",
    },
}

#: Association tables: from, to.
LINKS = {
    "deal_contacts": ("deals", "contacts"),
    "deal_companies": ("deals", "companies"),
    "contact_companies": ("contacts", "companies"),
}

_ENVELOPE = {
    "created_at": "timestamp",
    "updated_at": "timestamp",
    "archived_at": "timestamp",
    "is_deleted": "bool",
}


#: Contract tables that have a row for each record of an object type.
FILLS = {"companies": ("accounts",), "contacts": ("contacts", "leads"), "deals": ("opportunities",)}


def _object(kind: str, description: str, more: dict[str, str] | None = None) -> TableSpec:
    return TableSpec(
        description,
        ("id",),
        {"id": "text", **OBJECTS[kind], **(more or {}), **_ENVELOPE},
        ignored=frozenset({"hs_object_id"}),
        newest_by="updated_at",
        fills=FILLS.get(kind, ()),
    )


def _link(here: str, there: str) -> TableSpec:
    keys = (f"{here}_id", f"{there}_id")
    columns = {**dict.fromkeys(keys, "text"), "association_types": "json", "is_deleted": "bool"}
    return TableSpec(f"Associations of a {here} with a {there}.", keys, columns, complete=True)


TABLES: dict[str, TableSpec] = {
    "owners": TableSpec(
        "Users who own records, with their teams; deactivated ones included.",
        ("id",),
        {
            "id": "text",
            "email": "text",
            "first_name": "text",
            "last_name": "text",
            "teams": "json",
            "is_archived": "bool",
            "created_at": "timestamp",
            "updated_at": "timestamp",
            "is_deleted": "bool",
        },
        complete=True,
    ),
    "stages": TableSpec(
        "Stages of the deal pipelines, with their order, probability and whether they close a deal.",
        ("pipeline_id", "stage_id"),
        {
            "pipeline_id": "text",
            "pipeline_label": "text",
            "stage_id": "text",
            "label": "text",
            "display_order": "bigint",
            "is_closed": "bool",
            "probability": "decimal",
            "is_deleted": "bool",
        },
        complete=True,
    ),
    "companies": _object("companies", "Companies, archived ones included."),
    "contacts": _object("contacts", "Contacts, with the date each lifecycle stage was reached."),
    "deals": _object("deals", "Deals in every stage, won, lost and archived ones included, as they are now."),
    "deal_history": TableSpec(
        "Every value of a deal's stage, amount, close date, owner and forecast category.",
        ("deal_id", "property", "changed_at"),
        {
            "deal_id": "text",
            "property": "text",
            "changed_at": "timestamp",
            "value": "text",
            "source_type": "text",
        },
    ),
    "activities": _object(
        "activities",
        "Calls, e-mails, meetings, notes and tasks, with the ids of what they belong to.",
        {"activity_type": "text", "company_ids": "json", "contact_ids": "json", "deal_ids": "json"},
    ),
    "deal_contacts": _link("deal", "contact"),
    "deal_companies": _link("deal", "company"),
    "contact_companies": _link("contact", "company"),
    COUNTS: COUNTS_SPEC,
}
