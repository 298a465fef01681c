"""The sandbox's CRM as Salesforce objects: which records each has, which fields, and what may be set.

The company sells by account: every person is a contact of an account, and who ever asked is a lead too, which
is converted into that contact when its first deal opens. Account `Type` is Prospect until the first order and
Other after the last. What Salesforce has no standard field for is in custom fields (`__c`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.api.salesforce_history import (
    FORECASTS,
    LEAD_STATUSES,
    converted_at,
    lead_changes,
    lead_since,
    opportunity_changes,
    reached,
    wording,
)
from sandbox.world import Company, Contact, Deal, World

ACCOUNT_TYPES = {
    "lead": "Prospect",
    "opportunity": "Prospect",
    "customer": "Customer - Direct",
    "other": "Other",
}
OPPORTUNITY_TYPES = {"new_business": "New Business", "expansion": "Expansion", "renewal": "Renewal"}


@dataclass(frozen=True)
class Field:
    """A field: its type as describe names it, its value, and how a PATCH sets it (attribute, parse)."""

    kind: str
    value: Callable[[View, Any], Any]
    sets: str | None = None
    parse: Callable[[Any], Any] = lambda value: value


@dataclass
class Role:
    """A contact on an opportunity."""

    deal: Deal
    contact_id: str
    is_primary: bool
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False

    @property
    def id(self) -> str:
        """Made of both, so that it stays the same."""
        return f"00K{self.deal.id}C{self.contact_id}"


@dataclass
class View:
    """The world, and what has been done to roles through the API: (deal, contact) -> when."""

    world: World
    added: dict[tuple[str, str], datetime] = field(default_factory=dict)
    removed: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        crm = self.world.crm
        self.companies = {c.id: c for c in crm.companies}
        self.owners = {o.id: o for o in crm.owners}
        self.stages = {s.id: s for s in crm.stages}
        self.pipelines = list(dict.fromkeys(s.pipeline for s in crm.stages))
        self.first_deals: dict[str, str] = {}
        live = [d for d in crm.deals if d.archived_at is None]
        for deal in sorted(live, key=lambda d: (d.created_at, d.id), reverse=True):
            self.first_deals |= dict.fromkeys(deal.contact_ids, deal.id)

    def roles(self) -> list[Role]:
        """Contacts on opportunities, and those taken off again."""
        found = []
        gone = {c.id: c.archived_at for c in self.world.crm.contacts if c.archived_at is not None}
        for deal in self.world.crm.deals:
            for place, key in enumerate(deal.contact_ids):
                since = self.added.get((deal.id, key), deal.created_at)
                ends = [end for end in (deal.archived_at, gone.get(key)) if end is not None]
                found.append(Role(deal, key, place == 0, since, max([since, *ends]), bool(ends)))
        deals = {d.id: d for d in self.world.crm.deals}
        for (deal_id, key), when in self.removed.items():
            if key not in deals[deal_id].contact_ids:
                since = self.added.get((deal_id, key), deals[deal_id].created_at)
                found.append(Role(deals[deal_id], key, False, since, when, True))
        return found


def _is(attribute: str, kind: str = "string", settable: bool = False) -> Field:
    return Field(kind, lambda _view, record: getattr(record, attribute), attribute if settable else None)


def _same(attribute: str, kind: str = "string") -> Field:
    return _is(attribute, kind, settable=True)


def _constant(value: Any, kind: str = "string") -> Field:
    return Field(kind, lambda _view, _record: value)


def _mapped(attribute: str, names: dict[str, str]) -> Field:
    back = {shown: name for name, shown in reversed(names.items())}
    return Field(
        "picklist",
        lambda _view, record: names.get(getattr(record, attribute)),
        attribute,
        lambda value: back.get(value, value),
    )


def _money(attribute: str, kind: str = "currency") -> Field:
    return Field(
        kind,
        lambda _view, record: getattr(record, attribute),
        attribute,
        lambda value: None if value is None else Decimal(str(value)),
    )


def _modstamp(record: Any) -> datetime:
    return max(record.updated_at, record.archived_at or record.updated_at)


RECORD = {
    "Id": _is("id", "id"),
    "IsDeleted": Field("boolean", lambda _, r: r.archived_at is not None),
    "CreatedDate": _is("created_at", "datetime"),
    "SystemModstamp": Field("datetime", lambda _, r: _modstamp(r)),
}
MERGED = {"MasterRecordId": _is("merged_into", "reference")}
ACTIVITY = RECORD | {
    "WhoId": _is("contact_id", "reference"),
    "Who.Type": Field("string", lambda _, a: "Contact" if a.contact_id else None),
    "WhatId": Field("reference", lambda _, a: a.deal_id or a.company_id),
    "What.Type": Field(
        "string", lambda _, a: "Opportunity" if a.deal_id else "Account" if a.company_id else None
    ),
    "AccountId": _is("company_id", "reference"),
    "OwnerId": _is("owner_id", "reference"),
}
CHANGE = {
    "Id": _is("id", "id"),
    "Field": _is("field", "picklist"),
    "OldValue": _is("old", "anyType"),
    "NewValue": _is("new", "anyType"),
    "CreatedDate": _is("at", "datetime"),
    "IsDeleted": _is("is_deleted", "boolean"),
}


def _website(_view: View, company: Company) -> str | None:
    return f"https://www.{company.domain}/" if company.domain else None


def _domain(website: str | None) -> str | None:
    return website.split("//")[-1].removeprefix("www.").strip("/") if website else None


def _converted(value: Callable[[View, Contact], Any]) -> Callable[[View, Contact], Any]:
    return lambda view, person: value(view, person) if converted_at(person) else None


def _activity_kind(_view: View, activity: Any) -> str:
    if activity.activity_type == "email":
        return "ListEmail" if activity.is_automated else "Email"
    return "Call" if activity.activity_type == "call" else "Task"


FIELDS: dict[str, dict[str, Field]] = {
    "User": {
        "Id": _is("id", "id"),
        "Name": Field("string", lambda _, o: f"{o.first_name} {o.last_name}"),
        "Email": _is("email", "email"),
        "IsActive": _is("is_active", "boolean"),
        "UserType": _constant("Standard", "picklist"),
        "Department": _is("team"),
        "Division": _is("region"),
        "Title": Field("string", lambda _, o: o.role.upper()),
        "UserRoleId": Field("reference", lambda _, o: f"00E{o.role}"),
        "UserRole.Name": _is("role"),
        "ManagerId": _constant(None, "reference"),
        "CreatedDate": _is("created_at", "datetime"),
        "SystemModstamp": _is("updated_at", "datetime"),
    },
    "RecordType": {
        "Id": Field("id", lambda _, name: f"012{name}"),
        "DeveloperName": Field("string", lambda _, name: name),
        "Name": Field("string", lambda _, name: name.capitalize()),
        "SobjectType": _constant("Opportunity", "picklist"),
        "IsActive": _constant(True, "boolean"),
    },
    "OpportunityStage": {
        "Id": Field("id", lambda _, s: f"01J{s.id}"),
        "ApiName": _is("id"),
        "MasterLabel": _is("label"),
        "SortOrder": Field("int", lambda view, s: 1 + list(view.stages).index(s.id)),
        "IsActive": _constant(True, "boolean"),
        "IsClosed": Field("boolean", lambda _, s: s.outcome != "open"),
        "IsWon": Field("boolean", lambda _, s: s.outcome == "won"),
        "DefaultProbability": Field("percent", lambda _, s: s.probability * 100),
        "ForecastCategoryName": Field(
            "picklist", lambda _, s: {"won": "Closed", "lost": "Omitted"}.get(s.outcome, "Pipeline")
        ),
    },
    "Account": RECORD
    | MERGED
    | {
        "Name": _same("name"),
        "Website": Field("url", _website, "domain", _domain),
        "BillingCountry": _is("country"),
        "BillingCountryCode": _same("country", "picklist"),
        "Industry": _same("industry", "picklist"),
        "NumberOfEmployees": _same("employee_count", "int"),
        "AnnualRevenue": _money("annual_revenue"),
        "Type": _mapped("lifecycle_stage", ACCOUNT_TYPES),
        "OwnerId": _same("owner_id", "reference"),
        "ParentId": _same("parent_id", "reference"),
        "Tax_Id__c": _same("tax_id"),
        "Billing_Customer_Id__c": _same("billing_customer_id"),
    },
    "Contact": RECORD
    | MERGED
    | {
        "AccountId": _same("company_id", "reference"),
        "Email": _same("email", "email"),
        "FirstName": _same("first_name"),
        "LastName": _same("last_name"),
        "Title": _same("job_title"),
        "HasOptedOutOfEmail": _same("email_opt_out", "boolean"),
        "OwnerId": _same("owner_id", "reference"),
        "LeadSource": _same("lead_source", "picklist"),
        "Lifecycle_Stage__c": _same("lifecycle_stage", "picklist"),
    },
    "Lead": RECORD
    | MERGED
    | {
        "CreatedDate": Field("datetime", lambda _, p: lead_since(p)),
        "Email": _same("email", "email"),
        "FirstName": _same("first_name"),
        "LastName": _same("last_name"),
        "Company": Field(
            "string", lambda view, p: view.companies[p.company_id].name if p.company_id else "-"
        ),
        "Status": _mapped("lifecycle_stage", LEAD_STATUSES),
        "LeadSource": _same("lead_source", "picklist"),
        "OwnerId": _same("owner_id", "reference"),
        "Owner.Type": _constant("User"),
        "IsConverted": Field("boolean", lambda _, p: converted_at(p) is not None),
        "ConvertedDate": Field("date", _converted(lambda _, p: converted_at(p).date())),  # type: ignore[union-attr]
        "ConvertedAccountId": Field("reference", _converted(lambda _, p: p.company_id)),
        "ConvertedContactId": Field("reference", _converted(lambda _, p: p.id)),
        "ConvertedOpportunityId": Field("reference", _converted(lambda view, p: view.first_deals.get(p.id))),
        "MQL_Date__c": Field("datetime", lambda _, p: reached(p, "marketingqualifiedlead")),
        "SQL_Date__c": Field("datetime", lambda _, p: reached(p, "salesqualifiedlead")),
        "First_Response_Date__c": _is("first_response_at", "datetime"),
        "Email_Campaign_Id__c": _same("campaign_id"),
    },
    "LeadHistory": CHANGE | {"LeadId": _is("parent_id", "reference")},
    "Opportunity": RECORD
    | {
        "Name": _same("name"),
        "AccountId": _same("company_id", "reference"),
        "OwnerId": _same("owner_id", "reference"),
        "RecordTypeId": Field("reference", lambda _, d: f"012{d.pipeline}"),
        "CampaignId": _constant(None, "reference"),
        "StageName": _same("stage", "picklist"),
        "IsClosed": Field("boolean", lambda view, d: view.stages[d.stage].outcome != "open"),
        "IsWon": Field("boolean", lambda view, d: view.stages[d.stage].outcome == "won"),
        "Amount": _money("amount"),
        "CurrencyIsoCode": _same("currency", "picklist"),
        "Probability": Field("percent", lambda view, d: view.stages[d.stage].probability * 100),
        "ForecastCategoryName": _mapped("forecast_category", FORECASTS),
        "Type": _mapped("deal_type", OPPORTUNITY_TYPES),
        "LeadSource": _same("lead_source", "picklist"),
        "CloseDate": Field(
            "date", lambda _, d: d.close_date, "close_date", lambda text: date.fromisoformat(text)
        ),
        "LastStageChangeDate": Field(
            "datetime",
            lambda _, d: d.history["stage"][-1][0] if len(d.history.get("stage", [])) > 1 else None,
        ),
        "Product__c": _same("product", "picklist"),
        "Loss_Reason__c": _same("lost_reason", "picklist"),
        "Billing_Subscription_Id__c": _same("billing_subscription_id"),
        "Email_Campaign_Id__c": _same("campaign_id"),
    },
    "OpportunityContactRole": {
        "Id": _is("id", "id"),
        "OpportunityId": Field("reference", lambda _, r: r.deal.id),
        "ContactId": _is("contact_id", "reference"),
        "Role": Field("picklist", lambda _, r: "Decision Maker" if r.is_primary else None),
        "IsPrimary": _is("is_primary", "boolean"),
        "IsDeleted": _is("is_deleted", "boolean"),
        "CreatedDate": _is("created_at", "datetime"),
        "SystemModstamp": _is("updated_at", "datetime"),
    },
    "OpportunityFieldHistory": CHANGE | {"OpportunityId": _is("parent_id", "reference")},
    "Task": ACTIVITY
    | {
        "TaskSubtype": Field("picklist", _activity_kind),
        "Type": Field("picklist", lambda _, a: a.activity_type.capitalize()),
        "CallType": Field(
            "picklist", lambda _, a: a.direction.capitalize() if a.activity_type == "call" else None
        ),
        "Status": _constant("Completed", "picklist"),
        "ActivityDate": Field("date", lambda _, a: a.occurred_at.date()),
        "CompletedDateTime": _is("occurred_at", "datetime"),
    },
    "Event": ACTIVITY
    | {
        "IsChild": _constant(False, "boolean"),
        "StartDateTime": _is("occurred_at", "datetime"),
        "EndDateTime": Field("datetime", lambda _, a: a.occurred_at + timedelta(minutes=30)),
    },
    "Campaign": RECORD
    | {name: _constant(None) for name in ("Name", "Type", "StartDate", "EndDate", "CurrencyIsoCode")}
    | {name: _constant(None, "currency") for name in ("BudgetedCost", "ActualCost")},
    "CampaignMember": RECORD
    | {
        name: _constant(None)
        for name in ("CampaignId", "LeadId", "ContactId", "Email", "Status", "FirstRespondedDate")
    },
}


def records(view: View, name: str) -> list[Any]:
    """All records of an object, deleted ones included."""
    crm = view.world.crm
    found: dict[str, Callable[[], list[Any]]] = {
        "User": lambda: crm.owners,
        "RecordType": lambda: view.pipelines,
        "OpportunityStage": lambda: crm.stages,
        "Account": lambda: crm.companies,
        "Contact": lambda: crm.contacts,
        "Lead": lambda: [p for p in crm.contacts if lead_since(p)],
        "LeadHistory": lambda: lead_changes(view.world),
        "Opportunity": lambda: crm.deals,
        "OpportunityContactRole": view.roles,
        "OpportunityFieldHistory": lambda: opportunity_changes(view.world),
        "Task": lambda: [a for a in crm.activities if a.activity_type != "meeting"],
        "Event": lambda: [a for a in crm.activities if a.activity_type == "meeting"],
    }
    return list(found[name]()) if name in found else []


def shown(view: View, name: str, record: Any, fields: list[str]) -> dict[str, Any]:
    """A record as an answer shows it, with the fields asked for."""
    body: dict[str, Any] = {"attributes": {"type": name}}
    if "Id" in FIELDS[name]:
        key = FIELDS[name]["Id"].value(view, record)
        body["attributes"]["url"] = f"/services/data/v62.0/sobjects/{name}/{key}"
    for asked in fields:
        value = wording(FIELDS[name][asked].value(view, record))
        relation, _, of_it = asked.rpartition(".")
        if relation:
            body[relation] = {"attributes": {"type": "Name"}, of_it: value} if value is not None else None
        else:
            body[asked] = value
    return body


def change(view: View, name: str, record: Any, values: dict[str, Any], at: datetime | None) -> None:
    """Set fields as a PATCH does, with history. All of them can be set."""
    moment = at or view.world.now - timedelta(seconds=1)
    for key, given in values.items():
        known = FIELDS[name][key]
        attribute, value = str(known.sets), known.parse(given)
        if key == "Type" and name == "Account" and ACCOUNT_TYPES.get(record.lifecycle_stage) == given:
            continue
        if hasattr(record, "history"):
            held = getattr(record, attribute)
            before = record.history.get(attribute) or ([] if held is None else [(record.created_at, held)])
            record.history[attribute] = [*before, (moment, value)]
        setattr(record, attribute, value)
        if name == "Opportunity" and attribute == "stage":
            record.closed_at = moment if view.stages[value].outcome != "open" else None
    record.updated_at = moment
