"""What the sandbox has, asked of its API plainly, and whether the warehouse holds it row for row.

No cursor, no search, no event log: whole lists in pages, read by `requests`. The connector's own functions
make rows of records where they only rename; types are the declared ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from vendor_bench import PREFIX, Bench

from ingestion import hubspot, mailshake_rows, salesforce, stripe, stripe_rows
from ingestion.arrow import to_arrow
from ingestion.chargebee_tables import TABLES as CHARGEBEE
from ingestion.core import TableSpec
from ingestion.hubspot_tables import ACTIVITIES, HISTORY_PROPERTIES, LINKS, OBJECTS
from ingestion.pipedrive_rows import OwnFields, participant, v1
from ingestion.pipedrive_tables import FIELDS
from ingestion.salesforce_tables import OBJECTS as SOBJECTS
from ingestion.stripe_tables import TABLES as STRIPE
from sandbox.api.stripe_index import epoch, minor

Row = dict[str, Any]
Told = dict[str, list[Row]]


def assert_same(bench: Bench) -> None:
    """Whether each record the sandbox tells is held field by field, and all else that is held is deleted."""
    tables = import_module(f"ingestion.{bench.vendor}").TABLES
    told = TOLD[bench.vendor](bench)
    assert told.keys() == {name for name in tables if not name.startswith("_")}
    gone = set()
    if bench.vendor == "pipedrive":  # shows nothing of a deleted deal, of which the past is kept
        gone = {row["id"] for row in bench.records("deals", "is_deleted")}
    for table, records in told.items():
        spec = tables[table]
        expected = {_key(row, spec.primary_key): _plain(row, spec.columns) for row in _typed(spec, records)}
        held = {_key(row, spec.primary_key): _plain(row, spec.columns) for row in bench.records(table)}
        assert {key: held.get(key) for key in expected} == expected, table
        if table == "subscription_coupons":  # those that ran out are told no more, and known still
            continue
        others = [held[key] for key in held.keys() - expected.keys()]
        live = [row for row in others if not row.get("is_deleted") and row.get("deal_id") not in gone]
        assert live == [], table


def told_within(bench: Bench, table: str, column: str, since: datetime, until: datetime) -> set[str]:
    """Ids of the records of a table whose moment is in a range, as the sandbox tells them."""
    spec = import_module(f"ingestion.{bench.vendor}").TABLES[table]
    typed = _typed(spec, TOLD[bench.vendor](bench)[table])
    return {row["id"] for row in typed if since <= row[column] < until}


def _typed(spec: TableSpec, records: list[Row]) -> list[Row]:
    rows: list[Row] = to_arrow("told", spec.columns, records, spec.ignored).to_pylist()
    return rows


def _key(row: Row, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _plain(row: Row, columns: dict[str, str]) -> Row:
    """JSON read, so that its spelling does not matter."""
    return {
        name: json.loads(row[name]) if kind == "json" and row[name] is not None else row[name]
        for name, kind in columns.items()
    }


# ---------------------------------------------------------------- HubSpot


def _hubspot(bench: Bench) -> Told:
    told: Told = {
        "owners": [
            hubspot._owner(owner)
            for archived in ("true", "false")
            for owner in bench.get("v3/owners", archived=archived).json()["results"]
        ],
        "stages": [
            hubspot._stage(pipeline, stage)
            for pipeline in bench.get("v3/pipelines/deals").json()["results"]
            for stage in pipeline["stages"]
        ],
        "deal_history": [],
        "activities": [],
    }
    for kind in ("companies", "contacts", "deals"):
        records = list(_hubspot_records(bench, kind))
        told[kind] = [hubspot._row(record) for record in records]
        for record in records if kind == "deals" else ():
            told["deal_history"] += hubspot._history(record)
    for kind in ACTIVITIES:
        told["activities"] += [hubspot._activity(kind, record) for record in _hubspot_records(bench, kind)]
    for table, (here, there) in LINKS.items():
        told[table] = [
            {
                f"{hubspot._singular(here)}_id": record["id"],
                f"{hubspot._singular(there)}_id": str(found["toObjectId"]),
                "association_types": found["associationTypes"],
                "is_deleted": False,
            }
            for record in told[here]
            for found in _hubspot_links(bench, here, there, record["id"])
        ]
    return told


def _hubspot_records(bench: Bench, kind: str) -> Iterator[Row]:
    properties = OBJECTS["activities" if kind in ACTIVITIES else kind]
    for archived in ("false", "true"):
        params = {"limit": 50, "archived": archived, "properties": ",".join(properties)}
        if kind == "deals":
            params["propertiesWithHistory"] = ",".join(HISTORY_PROPERTIES)
        if kind in ACTIVITIES:
            params["associations"] = "companies,contacts,deals"
        while True:
            body = bench.get(f"v3/objects/{kind}", **params).json()
            yield from body["results"]
            if "paging" not in body:
                break
            params["after"] = body["paging"]["next"]["after"]


def _hubspot_links(bench: Bench, here: str, there: str, key: str) -> list[Row]:
    body = {"inputs": [{"id": key}]}
    found = bench.request("POST", f"v4/associations/{here}/{there}/batch/read", json=body).json()["results"]
    return [link for result in found for link in result["to"]]


# ---------------------------------------------------------------- Salesforce


def _salesforce(bench: Bench) -> Told:
    told: Told = {}
    for table, its in SOBJECTS.items():
        described = bench.get(f"sobjects/{its.name}/describe").json()["fields"]
        shown = {field["name"] for field in described}
        fields = [name for name in its.fields if salesforce._described(name) in shown]
        where = f" WHERE {its.where}" if its.where else ""
        query = f"SELECT {', '.join(fields)} FROM {its.name}{where}"
        body = bench.get("queryAll", q=query).json()
        records = body["records"]
        while not body["done"]:
            body = bench.get(body["nextRecordsUrl"].split(PREFIX["salesforce"])[1].strip("/")).json()
            records += body["records"]
        relations = {name.split(".")[0] for name in its.fields if "." in name}
        told[table] = [salesforce._row(record, relations) for record in records]
    return told


# ---------------------------------------------------------------- Pipedrive


def _pipedrive(bench: Bench) -> Told:
    def listed(path: str, **params: Any) -> Iterator[Row]:
        while True:
            body = bench.get(path, limit=100, **params).json()
            yield from body["data"] or []
            more = body.get("additional_data") or {}
            if more.get("next_cursor"):
                params["cursor"] = more["next_cursor"]
            elif (more.get("pagination") or {}).get("next_start"):
                params["start"] = more["pagination"]["next_start"]
            else:
                return

    told: Told = {name: [v1(body) for body in listed(f"v1/{name}")] for name in ("users", "roles", "notes")}
    told["teams"] = [v1(body) | {"is_deleted": False} for body in listed("v1/legacyTeams")]
    for name in ("pipelines", "stages"):
        told[name] = [body | {"is_deleted": False} for body in listed(f"v2/{name}")]
    own = {table: OwnFields(table, list(listed(f"v2/{path}"))) for table, path in FIELDS.items()}
    for table in ("organizations", "persons", "activities"):
        fields = own.get(table) or OwnFields(table, [])
        told[table] = [fields.row(body) for body in listed(f"v2/{table}")]
    asked = {"include_fields": "participants_count"}
    live = [*listed("v2/deals", **asked), *listed("v2/deals/archived", **asked)]
    told["deals"] = [own["deals"].row(body) for body in live]
    told["deals"] += [own["deals"].row(body) for body in listed("v2/deals", status="deleted", **asked)]
    told["deal_changes"], told["deal_participants"] = [], []
    for deal in live:
        flow = listed(f"v1/deals/{deal['id']}/flow", all_changes=1)
        changes = [own["deals"].change(entry) for entry in flow]
        told["deal_changes"] += [change for change in changes if change is not None]
        people = listed(f"v1/deals/{deal['id']}/participants")
        told["deal_participants"] += [participant(str(deal["id"]), body) for body in people]
    return told


# ---------------------------------------------------------------- Mailshake


def _mailshake(bench: Bench) -> Told:
    def listed(path: str, **params: Any) -> Iterator[Row]:
        while True:
            body = bench.get(path, perPage=100, **params).json()
            yield from body["results"]
            if body["nextToken"] is None:
                return
            params["nextToken"] = body["nextToken"]

    campaigns = [mailshake_rows.campaign(body) for body in listed("campaigns/list")]
    events = ("sent", "opens", "clicks", "replies")
    return {
        "team": [mailshake_rows.member(body) for body in listed("team/list-members")],
        "campaigns": campaigns,
        "recipients": [
            mailshake_rows.recipient(body, str(campaign["id"]))
            for campaign in campaigns
            for body in listed("recipients/list", campaignID=campaign["id"])
        ],
        **{
            name: [mailshake_rows.event(name, body) for body in listed(f"activity/{name}")] for name in events
        },
        "leads": [mailshake_rows.lead(body) for body in listed("leads/list")],
    }


# ---------------------------------------------------------------- Stripe

EXPANDED = {
    "customers": ("data.tax_ids",),
    "subscriptions": ("data.discounts.source.coupon",),
    "invoices": ("data.discounts.source.coupon", "data.payments"),
}


def _stripe(bench: Bench) -> Told:
    def listed(path: str, **params: Any) -> Iterator[Row]:
        params |= {f"expand[{n}]": name for n, name in enumerate(EXPANDED.get(path, ()))}
        headers = {"Stripe-Version": stripe.API_VERSION}
        while True:
            body = bench.request("GET", path, params={"limit": 100, **params}, headers=headers).json()
            yield from body["data"]
            if not body["has_more"]:
                return
            params["starting_after"] = body["data"][-1]["id"]

    invoices = list(listed("invoices"))
    told = {
        name: [read(body) for body in listed(name)]
        for name, read in (
            ("customers", stripe_rows.customer),
            ("products", stripe_rows.product),
            ("prices", stripe_rows.price),
            ("charges", stripe_rows.charge),
            ("refunds", stripe_rows.refund),
            ("credit_notes", stripe_rows.credit_note),
        )
    }
    told["subscriptions"] = [
        stripe_rows.subscription(body, list(listed("subscription_items", subscription=body["id"])))
        for body in listed("subscriptions", status="all")
    ]
    told["invoices"] = [stripe_rows.invoice(body) for body in invoices]
    told["invoice_lines"] = [
        stripe_rows.invoice_line(line, row["id"], row["subscription_id"])
        for row in told["invoices"]
        if row["status"] != "draft"
        for line in listed(f"invoices/{row['id']}/lines")
    ]
    told["invoice_payments"] = [link for body in invoices for link in stripe_rows.invoice_payments(body)]
    # No list has the discounts that ended: they are asked of the world.
    told["discounts"] = [
        {
            "id": one.id,
            "customer_id": one.customer_id,
            "subscription_id": one.subscription_id,
            "coupon_id": one.coupon_id,
            "percent_off": one.percent_off,
            "amount_off": None if one.amount_off is None else minor(one.amount_off, str(one.currency)),
            "currency": one.currency.lower() if one.currency else None,
            "duration": one.duration,
            "duration_in_months": one.duration_in_months,
            "start": epoch(one.starts_at),
            "end": epoch(one.ends_at),
        }
        for one in bench.world.billing.discounts
    ]
    return {
        name: [row | ({"is_deleted": False} if "is_deleted" in STRIPE[name].columns else {}) for row in rows]
        for name, rows in told.items()
    }


# ---------------------------------------------------------------- Chargebee


def _chargebee(bench: Bench) -> Told:
    """Without the connector's functions: every field as its column says."""
    told: Told = {"invoice_lines": [], "credit_note_lines": [], "subscription_discounts": []}
    for table in (*_LISTED, "items"):
        kind = table.removesuffix("s")
        bodies = list(_chargebee_records(bench, kind))
        told[table] = [_chargebee_row(body, table) for body in bodies]
        if kind in ("invoice", "credit_note"):
            told[f"{kind}_lines"] = [
                _chargebee_row(line | {f"{kind}_id": body["id"], "deleted": body["deleted"]}, f"{kind}_lines")
                for body in bodies
                for line in _chargebee_lines(bench, kind, body)
            ]
        if kind == "subscription":
            told["subscription_coupons"] = [
                _chargebee_row(
                    coupon | {"subscription_id": body["id"], "deleted": body["deleted"]},
                    "subscription_coupons",
                )
                for body in bodies
                for coupon in body.get("coupons", [])
            ]
    return told


#: Tables whose records have a list of their own.
_LISTED = ("transactions", "credit_notes", "invoices", "subscriptions", "customers", "coupons", "item_prices")

#: Parts of a record, whose order says nothing, and what they are sorted by.
_SORTED = {"coupons": "coupon_id", "subscription_items": "item_price_id"}


def _chargebee_records(bench: Bench, kind: str) -> Iterator[Row]:
    params: Row = {"limit": 100, "include_deleted": "true"}
    while True:
        answer = bench.get(f"{kind}s", **params).json()
        yield from (entry[kind] for entry in answer["list"])
        if "next_offset" not in answer:
            return
        params["offset"] = answer["next_offset"]


def _chargebee_lines(bench: Bench, kind: str, body: Row) -> list[Row]:
    """A document's lines to their end, each with its discounts."""
    subscription = {"subscription_id": body.get("subscription_id")}
    lines, discounts = body["line_items"], body.get("line_item_discounts", [])
    while offset := body.get("line_items_next_offset"):
        body = bench.get(f"{kind}s/{body['id']}", line_items_offset=offset).json()[kind]
        lines, discounts = lines + body["line_items"], discounts + body.get("line_item_discounts", [])
    return [
        subscription
        | line
        | {"line_item_discounts": [one for one in discounts if one["line_item_id"] == line["id"]]}
        for line in lines
    ]


def _chargebee_row(body: Row, table: str) -> Row:
    row: Row = {}
    for name, kind in CHARGEBEE[table].columns.items():
        value = body.get(name)
        if name == "is_deleted":
            value = body.get("deleted", False)
        elif name == "custom_fields":
            value = {field: value for field, value in body.items() if field.startswith("cf_")}
        elif name == "billing_country":
            value = body.get("billing_address", {}).get("country")
        elif name in _SORTED:
            value = sorted(value or [], key=lambda part: part[_SORTED[name]])
        elif kind == "timestamp" and value is not None:
            value = datetime.fromtimestamp(value, UTC)
        row[name] = value
    return row


TOLD: dict[str, Callable[[Bench], Told]] = {
    "hubspot": _hubspot,
    "salesforce": _salesforce,
    "pipedrive": _pipedrive,
    "mailshake": _mailshake,
    "stripe": _stripe,
    "chargebee": _chargebee,
}
