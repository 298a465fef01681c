"""What is read from Pipedrive: raw tables, their keys and types, and the account's own fields.

Pipedrive keeps what it has no field for in custom ones, known by a 40-character key that differs in every
account; they are found by their name, given in `CUSTOM`. An account with other names changes them there.
The columns of everything else carry Pipedrive's own names.
"""

from __future__ import annotations

from ingestion.core import COUNTS, COUNTS_SPEC, TableSpec

#: Table -> column -> (name of the field in Pipedrive, type). A standard field of that name does as well.
#: Moments are text fields in Pipedrive, whose date fields have no time, written by an automation as RFC 3339.
CUSTOM: dict[str, dict[str, tuple[str, str]]] = {
    "organizations": {
        "website": ("Website", "text"),
        "country": ("Country", "text"),
        "industry": ("Industry", "text"),
        "employee_count": ("Number of employees", "bigint"),
        "annual_revenue": ("Annual revenue", "decimal"),
        "lifecycle_stage": ("Lifecycle stage", "text"),
        "parent_organization_id": ("Parent organization", "text"),
        "tax_id": ("Tax ID", "text"),
        "billing_customer_id": ("Billing customer ID", "text"),
    },
    "persons": {
        "job_title": ("Job title", "text"),
        "lifecycle_stage": ("Lifecycle stage", "text"),
        "became_lead": ("Became lead", "timestamp"),
        "became_marketing_qualified": ("Became marketing qualified", "timestamp"),
        "became_sales_qualified": ("Became sales qualified", "timestamp"),
        "became_opportunity": ("Became opportunity", "timestamp"),
        "became_customer": ("Became customer", "timestamp"),
        "first_response": ("First response", "timestamp"),
        "lead_source": ("Lead source", "text"),
        "email_campaign_id": ("Email campaign ID", "text"),
        "email_opt_out": ("Email opt-out", "text"),
    },
    "deals": {
        "opportunity_type": ("Opportunity type", "text"),
        "product": ("Product", "text"),
        "lead_source": ("Lead source", "text"),
        "email_campaign_id": ("Email campaign ID", "text"),
        "forecast_category": ("Forecast category", "text"),
        "billing_subscription_id": ("Billing subscription ID", "text"),
    },
}

#: Where the fields of a table's objects are described.
FIELDS = {"organizations": "organizationFields", "persons": "personFields", "deals": "dealFields"}

#: What a deal's flow calls the fields whose history is kept; a custom one is kept under its column.
HISTORY = {"stage_id", "status", "value", "expected_close_date", "user_id", "owner_id"}
CUSTOM_HISTORY = "forecast_category"

_SPARE = {
    "organizations": {
        *("visible_to", "label_ids", "linkedin", "picture_id", "cc_email", "smart_bcc_email"),
    },
    "persons": {
        *("name", "visible_to", "label_ids", "phones", "picture_id", "postal_address", "notes", "im", "ims"),
        *("birthday", "cc_email", "smart_bcc_email", "marketing_status", "doi_status"),
    },
    "deals": {
        *("creator_user_id", "visible_to", "label_ids", "origin", "origin_id", "channel", "channel_id"),
        *("source_lead_id", "arr", "mrr", "acv", "rotten_time", "archive_time", "smart_bcc_email"),
        *("local_won_date", "local_lost_date", "local_close_date"),
    },
    "activities": {
        *("subject", "creator_user_id", "project_id", "duration", "busy", "location", "attendees"),
        *("participants", "conference_meeting_client", "conference_meeting_url", "conference_meeting_id"),
        *("public_description", "private_description", "priority", "note"),
    },
    "notes": {
        *("content", "deal", "organization", "person", "user", "project", "project_id", "lead"),
        *("last_update_user_id", "pinned_to_deal_flag", "pinned_to_organization_flag"),
        *("pinned_to_person_flag", "pinned_to_lead_flag", "pinned_to_project_flag", "pinned_to_task_flag"),
    },
    "users": {
        *("default_currency", "locale", "lang", "phone", "activated", "last_login", "access"),
        *("has_created_company", "timezone_name", "timezone_offset", "icon_url", "is_you", "is_admin"),
        *("signup_flow_variation", "company_id", "company_name", "company_domain", "company_country"),
    },
    "roles": {"sub_role_count", "assignment_count", "level", "description"},
    "teams": {"company_id", "description", "add_time", "created_by_user_id"},
    "pipelines": {"order_nr", "is_deal_probability_enabled", "is_selected"},
    "stages": {"is_deal_rot_enabled", "days_to_rotten"},
    "deal_participants": {
        *("id", "add_by_user_id", "added_by_user_id", "related_item_data", "related_item_id"),
        *("related_item_type", "person", "active_flag"),
    },
}


#: Contract tables that have a row for each record of a table.
FILLS = {"organizations": ("accounts",), "persons": ("contacts", "leads"), "deals": ("opportunities",)}


def _spec(
    table: str,
    description: str,
    columns: dict[str, str],
    keys: tuple[str, ...] = ("id",),
    complete: bool = False,
    newest_by: str | None = None,
    told_by: str | None = None,
) -> TableSpec:
    own = {column: kind for column, (_, kind) in CUSTOM.get(table, {}).items()}
    ignored = frozenset(_SPARE.get(table, set()))
    every = {**columns, **own, "is_deleted": "bool"}
    return TableSpec(
        description,
        keys,
        every,
        ignored=ignored,
        complete=complete,
        newest_by=newest_by,
        fills=FILLS.get(table, ()),
        told_by=told_by,
    )


TABLES: dict[str, TableSpec] = {
    "users": _spec(
        "users",
        "Users, deactivated ones included.",
        {
            "id": "text",
            "name": "text",
            "email": "text",
            "role_id": "text",
            "active_flag": "bool",
            "created": "timestamp",
            "modified": "timestamp",
        },
        complete=True,
    ),
    "roles": _spec(
        "roles",
        "Roles that users have, such as who sells.",
        {"id": "text", "name": "text", "parent_role_id": "text", "active_flag": "bool"},
        complete=True,
    ),
    "teams": _spec(
        "teams",
        "Teams with the ids of their users; none where the plan has no teams.",
        {
            "id": "text",
            "name": "text",
            "manager_id": "text",
            "users": "json",
            "active_flag": "bool",
            "deleted_flag": "bool",
        },
    ),
    "pipelines": _spec(
        "pipelines",
        "Deal pipelines, whose stages are a table of their own.",
        {"id": "text", "name": "text", "add_time": "timestamp", "update_time": "timestamp"},
        complete=True,
    ),
    "stages": _spec(
        "stages",
        "Stages of the deal pipelines; won and lost are no stages in Pipedrive.",
        {
            "id": "text",
            "pipeline_id": "text",
            "name": "text",
            "order_nr": "bigint",
            "deal_probability": "decimal",
            "add_time": "timestamp",
            "update_time": "timestamp",
        },
        complete=True,
    ),
    "organizations": _spec(
        "organizations",
        "Organizations, which are companies.",
        {
            "id": "text",
            "name": "text",
            "owner_id": "text",
            "address": "json",
            "add_time": "timestamp",
            "update_time": "timestamp",
        },
        newest_by="update_time",
    ),
    "persons": _spec(
        "persons",
        "Persons, with the moment each lifecycle stage was reached.",
        {
            "id": "text",
            "first_name": "text",
            "last_name": "text",
            "org_id": "text",
            "owner_id": "text",
            "emails": "json",
            "add_time": "timestamp",
            "update_time": "timestamp",
        },
        newest_by="update_time",
    ),
    "deals": _spec(
        "deals",
        "Deals: open, won, lost, archived and deleted ones.",
        {
            "id": "text",
            "title": "text",
            "org_id": "text",
            "person_id": "text",
            "owner_id": "text",
            "pipeline_id": "text",
            "stage_id": "text",
            "status": "text",
            "value": "decimal",
            "currency": "text",
            "probability": "decimal",
            "expected_close_date": "date",
            "lost_reason": "text",
            "participants_count": "bigint",
            "is_archived": "bool",
            "add_time": "timestamp",
            "update_time": "timestamp",
            "stage_change_time": "timestamp",
            "close_time": "timestamp",
            "won_time": "timestamp",
            "lost_time": "timestamp",
        },
        newest_by="update_time",
    ),
    "deal_changes": _spec(
        "deal_changes",
        "Changes of a deal's stage, status, value, close date, owner and forecast category, from its flow.",
        {
            "deal_id": "text",
            "id": "bigint",
            "field_key": "text",
            "old_value": "text",
            "new_value": "text",
            "log_time": "timestamp",
            "user_id": "text",
            "change_source": "text",
        },
        keys=("deal_id", "id"),
        told_by="deals",
    ),
    "deal_participants": _spec(
        "deal_participants",
        "Persons taking part in deals, those taken off again marked.",
        {"deal_id": "text", "person_id": "text", "add_time": "timestamp"},
        keys=("deal_id", "person_id"),
        told_by="deals",
    ),
    "activities": _spec(
        "activities",
        "Activities of every type, done or planned.",
        {
            "id": "text",
            "type": "text",
            "owner_id": "text",
            "org_id": "text",
            "person_id": "text",
            "deal_id": "text",
            "lead_id": "text",
            "done": "bool",
            "due_date": "date",
            "due_time": "text",
            "marked_as_done_time": "timestamp",
            "add_time": "timestamp",
            "update_time": "timestamp",
        },
        newest_by="update_time",
    ),
    "notes": _spec(
        "notes",
        "Notes on organizations, persons and deals, without their texts.",
        {
            "id": "text",
            "user_id": "text",
            "org_id": "text",
            "person_id": "text",
            "deal_id": "text",
            "lead_id": "text",
            "active_flag": "bool",
            "add_time": "timestamp",
            "update_time": "timestamp",
        },
        newest_by="update_time",
    ),
    COUNTS: COUNTS_SPEC,
}
