"""HubSpot: CRM records, their history and associations, from a private app's token into raw tables in
HubSpot's own property names.

Objects: owners, deal pipelines' stages, companies, contacts, deals with every value their stage, amount,
close date, owner and forecast category ever had, engagements (calls, e-mails, meetings, notes, tasks),
associations.

Changes: a first load lists everything; later loads search by the modified date, minus the lag window, in the
order of ids, so that HubSpot's ceiling of 10,000 results is never met. Associations added later do not touch
that date, so those of all deals and contacts are swept. HubSpot's own counts of companies, contacts and
deals are compared with what arrived.

Deletes: archived records are listed after the last one seen and marked deleted; a record that was merged
into another is marked when that one names it. Associations and owners that are gone are marked too.

Limits: 170 requests in ten seconds and four searches a second, of the 190 and five that HubSpot allows.

Permissions: a private app with the scopes crm.objects.owners.read, crm.objects.companies.read,
crm.objects.contacts.read, crm.objects.deals.read, crm.schemas.deals.read and sales-email-read.

Secrets: api_key, the private app's access token.

Left out: associations of an engagement that are added after it was last modified, and records that HubSpot
restores from its recycle bin: neither shows in any list of changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from dlt.extract import DltSource
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import BasePaginator, JSONResponseCursorPaginator
from requests import Request, Response

from ingestion import changes
from ingestion.core import COUNTS, Batches, Feed, State, count_at_source, counts, make_source
from ingestion.custom import asked_for
from ingestion.http import VendorClient, client, explain, limiter, secret
from ingestion.hubspot_tables import (
    ACTIVITIES,
    CURSORS,
    FILLS,
    HISTORY_PROPERTIES,
    LINKS,
    OBJECT_FIELDS,
    OBJECTS,
    OWNER_FIELDS,
    STAGE_FIELDS,
    TABLES,
)
from settings.config import SourceConfig
from settings.errors import UserError

__all__ = ["TABLES", "check", "source"]

BASE_URL = "https://api.hubapi.com"
LIST_PAGE = 100
HISTORY_PAGE = 50
SEARCH_PAGE = 200
LINKS_PAGE = 1000
#: Requests in seconds: most of what HubSpot allows a private app, and of the searches it allows an account.
LIMIT, SEARCH_LIMIT = (170, 10), (4, 1)

LINKED_TO = ("companies", "contacts", "deals")

Row = dict[str, Any]


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """Every raw table of a HubSpot account. HubSpot shows the present only, whatever `as_of`."""
    return make_source(config, TABLES, _Account(_client(config), config, as_of).feeds())


def check(config: SourceConfig) -> None:
    """One cheap call that needs the token."""
    try:
        _client(config).get_json("/crm/v3/owners", {"limit": 1})
    except Exception as exc:
        raise explain(exc, config.name) from exc


def _client(config: SourceConfig) -> VendorClient:
    return client(config, BASE_URL, BearerTokenAuth(secret(config)), limit=LIMIT)


class _Account:
    """The feeds of one load, in the order they run; ids and history met on the way serve the later ones."""

    def __init__(self, api: VendorClient, config: SourceConfig, as_of: datetime) -> None:
        self.api = api
        self.lag_minutes = config.lag_minutes
        self.counted_before = as_of - timedelta(minutes=config.lag_minutes)
        self.properties = {
            kind: [*properties, *asked_for(config, *FILLS.get(kind, ()))]
            for kind, properties in OBJECTS.items()
        }
        self.history: list[list[Row]] = []
        self.met: dict[str, set[str]] = {"contacts": set(), "deals": set()}
        self.searches = limiter(SEARCH_LIMIT)

    def feeds(self) -> dict[str, Feed]:
        """A feed per table of `TABLES`."""
        feeds: dict[str, Feed] = {"owners": self.owners, "stages": self.stages}
        for kind in ("companies", "contacts", "deals"):
            feeds[kind] = lambda state, kind=kind: self.objects(kind, state)  # type: ignore[misc]
        feeds["deal_history"] = lambda _state: self.history
        feeds["activities"] = self.activities
        for table in LINKS:
            feeds[table] = lambda _state, table=table: self.links(table)  # type: ignore[misc]
        return {**feeds, COUNTS: counts}

    def owners(self, _state: State) -> Batches:
        """All owners; the deactivated ones are listed as archived."""
        for archived in ("false", "true"):
            for page in self._list("/crm/v3/owners", {"limit": LIST_PAGE, "archived": archived}):
                yield [_owner(owner) for owner in page]

    def stages(self, _state: State) -> Batches:
        """All stages of all deal pipelines."""
        for pipeline in self.api.get_json("/crm/v3/pipelines/deals")["results"]:
            yield [_stage(pipeline, stage) for stage in pipeline["stages"]]

    def objects(self, kind: str, state: State) -> Batches:
        """Companies, contacts or deals: all on a first load, changed ones later, archived ones always."""
        merged: set[str] = set()
        for page in self._pages(kind, state, self.properties[kind]):
            for record in page:
                merged.update((record["properties"].get("hs_merged_object_ids") or "").split(";"))
            self.met.get(kind, set()).update(r["id"] for r in page if not r.get("archived"))
            if kind == "deals":
                self.history.append([entry for deal in page for entry in _history(deal)])
            yield [_row(record) for record in page]
        if lost := merged & changes.known_keys(kind, "id", "not is_deleted"):
            columns = [*TABLES[kind].columns, "_extra"]
            yield changes.marked_deleted(changes.held(kind, "id", columns, lost))
        count_at_source(kind, self._count(kind), "createdate", self.counted_before)

    def activities(self, state: State) -> Batches:
        """Engagements of every kind in one table, with the ids of what they belong to."""
        for kind in ACTIVITIES:
            own = state.setdefault(kind, {})
            for page in self._pages(kind, own, self.properties["activities"]):
                if page and not any("associations" in record for record in page):
                    self._attach_links(kind, page)
                yield [_activity(kind, record) for record in page]

    def links(self, table: str) -> Batches:
        """All associations from deals or contacts, whether the records changed or not."""
        here, there = LINKS[table]
        known = changes.known_keys(here, "id", "not is_deleted")
        for ids in _parts(sorted(known | self.met[here]), LINKS_PAGE):
            yield [
                {
                    f"{_singular(here)}_id": key,
                    f"{_singular(there)}_id": str(found["toObjectId"]),
                    "association_types": found["associationTypes"],
                    "is_deleted": False,
                }
                for key, found in self._links(here, there, ids)
            ]

    def _pages(self, kind: str, state: State, properties: list[str]) -> Iterator[list[Row]]:
        """Pages of new or changed records, then of newly archived ones."""
        since, until = changes.cursor_range(state, self.lag_minutes)
        if since is None:
            newest = self._newest(kind)
            yield from self._listed(kind, properties, archived=False)
            changes.advance_cursor(state, [newest])
        else:
            yield from self._changed(kind, properties, since, until, state)
        since, until = changes.cursor_range(state, self.lag_minutes, "archived")
        for page in self._listed(kind, properties, archived=True):
            fresh = [record for record in page if _is_within(record["archivedAt"], since, until)]
            changes.advance_cursor(state, [r["archivedAt"] for r in fresh], "archived")
            yield fresh

    def _listed(self, kind: str, properties: list[str], archived: bool) -> Iterator[list[Row]]:
        params: dict[str, Any] = {"limit": LIST_PAGE, "properties": ",".join(properties)}
        params["archived"] = str(archived).lower()
        if kind == "deals":
            params |= {"limit": HISTORY_PAGE, "propertiesWithHistory": ",".join(HISTORY_PROPERTIES)}
        if kind in ACTIVITIES:
            params["associations"] = ",".join(LINKED_TO)
        yield from self._list(f"/crm/v3/objects/{kind}", params)

    def _list(self, path: str, params: dict[str, Any]) -> Iterator[list[Row]]:
        paginator = JSONResponseCursorPaginator(cursor_path="paging.next.after", cursor_param="after")
        yield from self.api.paginate(path, params=params, paginator=paginator, data_selector="results")

    def _changed(
        self, kind: str, properties: list[str], since: datetime, until: datetime | None, state: State
    ) -> Iterator[list[Row]]:
        """Live records modified since, by id: no offset, so no ceiling and nothing skipped while it moves."""
        modified = CURSORS.get(kind, "hs_lastmodifieddate")
        bounds = [("GTE", since), *([("LT", until)] if until else [])]
        filters = [
            {"propertyName": modified, "operator": operator, "value": str(int(moment.timestamp() * 1000))}
            for operator, moment in bounds
        ]
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": properties,
            "limit": SEARCH_PAGE,
        }
        self.searches.try_acquire("searches")
        newest: list[str] = []
        for place, page in enumerate(
            self.api.paginate(
                f"/crm/v3/objects/{kind}/search",
                method="POST",
                json=body,
                paginator=_ById(),
                data_selector="results",
            )
        ):
            if place == 0:
                more = page.response.json()["total"] > len(page)
                dates = [record["properties"][modified] for record in page]
                newest = [d for d in ([self._newest(kind)] if more else dates) if d]
            yield self._with_history(page, properties) if kind == "deals" else list(page)
            if page.paginator.has_next_page:
                self.searches.try_acquire("searches")
        changes.advance_cursor(state, newest)

    def _count(self, kind: str) -> int:
        """Live records of a type, as HubSpot counts them; the newest may not be in its index yet."""
        ceiling = str(int(self.counted_before.timestamp() * 1000))
        early = {"propertyName": "createdate", "operator": "LT", "value": ceiling}
        self.searches.try_acquire("searches")
        body = {"filterGroups": [{"filters": [early]}], "limit": 1}
        return int(self.api.post_json(f"/crm/v3/objects/{kind}/search", body)["total"])

    def _newest(self, kind: str) -> str | None:
        """The latest modified date of a type: where the next load reads on, whatever changes meanwhile."""
        modified = CURSORS.get(kind, "hs_lastmodifieddate")
        body = {
            "sorts": [{"propertyName": modified, "direction": "DESCENDING"}],
            "properties": [modified],
            "limit": 1,
        }
        self.searches.try_acquire("searches")
        found = self.api.post_json(f"/crm/v3/objects/{kind}/search", body)["results"]
        return found[0]["properties"][modified] if found else None

    def _with_history(self, page: list[Row], properties: list[str]) -> list[Row]:
        """The deals of a search page read again with their history, which search does not give."""
        records: list[Row] = []
        for part in _parts(page, HISTORY_PAGE):
            body = {
                "inputs": [{"id": record["id"]} for record in part],
                "properties": properties,
                "propertiesWithHistory": list(HISTORY_PROPERTIES),
            }
            records += self.api.post_json("/crm/v3/objects/deals/batch/read", body)["results"]
        return records

    def _attach_links(self, kind: str, page: list[Row]) -> None:
        """Put the associations of engagements where a list shows them."""
        by_id: dict[str, Row] = {record["id"]: record for record in page}
        for there in LINKED_TO:
            for key, found in self._links(kind, there, by_id):
                shown = by_id[key].setdefault("associations", {}).setdefault(there, {"results": []})
                shown["results"].append({"id": str(found["toObjectId"])})

    def _links(self, here: str, there: str, ids: Iterable[str]) -> Iterator[tuple[str, Row]]:
        path = f"/crm/v4/associations/{here}/{there}/batch/read"
        for result in self.api.post_json(path, {"inputs": [{"id": key} for key in ids]})["results"]:
            for found in result["to"]:
                yield str(result["from"]["id"]), found


class _ById(BasePaginator):
    """Search on from the last id of the page before."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """There is another page if this search found more than it shows."""
        self.last = data[-1]["id"] if data else None
        self._has_next_page = bool(data) and response.json()["total"] > len(data or [])

    def update_request(self, request: Request) -> None:
        """Ask for greater ids only; `total` then counts what is left."""
        body: Row = dict(request.json or {})
        filters = body["filterGroups"][0]["filters"]
        kept = [f for f in filters if f["propertyName"] != "hs_object_id"]
        above = {"propertyName": "hs_object_id", "operator": "GT", "value": self.last}
        request.json = {**body, "filterGroups": [{"filters": [*kept, above]}]}


def _is_within(moment: str, since: datetime | None, until: datetime | None) -> bool:
    when = datetime.fromisoformat(moment)
    return (since is None or when >= since) and (until is None or when < until)


def _undocumented(record: Row, known: set[str]) -> Row:
    """Fields that HubSpot adds one day; they stay visible."""
    return {name: value for name, value in record.items() if name not in known}


def _row(record: Row) -> Row:
    """An object, its properties as columns."""
    return {
        **_undocumented(record, OBJECT_FIELDS),
        **record["properties"],
        "id": record["id"],
        "created_at": record["createdAt"],
        "updated_at": record["updatedAt"],
        "archived_at": record.get("archivedAt"),
        "is_deleted": record.get("archived", False),
    }


def _activity(kind: str, record: Row) -> Row:
    linked = record.get("associations") or {}
    ids = {
        f"{_singular(there)}_ids": sorted({found["id"] for found in linked.get(there, {}).get("results", [])})
        for there in LINKED_TO
    }
    return {**_row(record), **ids, "activity_type": _singular(kind)}


def _history(deal: Row) -> Iterator[Row]:
    """Values a deal had, newest first; of several set in one millisecond only the last was ever visible."""
    for name, entries in (deal.get("propertiesWithHistory") or {}).items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(
                f"table 'deal_history', property {name!r}: the type changed from list of objects to another. "
                "Nothing was loaded. If HubSpot changed it, the connector must be told how to read it"
            )
        shown: set[str] = set()
        for entry in entries:
            if entry["timestamp"] not in shown:
                shown.add(entry["timestamp"])
                yield {
                    "deal_id": deal["id"],
                    "property": name,
                    "changed_at": entry["timestamp"],
                    "value": entry["value"],
                    "source_type": entry.get("sourceType"),
                }


def _owner(owner: Row) -> Row:
    return {
        **_undocumented(owner, OWNER_FIELDS),
        "id": owner["id"],
        "email": owner.get("email"),
        "first_name": owner.get("firstName"),
        "last_name": owner.get("lastName"),
        "teams": owner.get("teams") or [],
        "is_archived": owner.get("archived", False),
        "created_at": owner.get("createdAt"),
        "updated_at": owner.get("updatedAt"),
        "is_deleted": False,
    }


def _stage(pipeline: Row, stage: Row) -> Row:
    metadata = stage.get("metadata") or {}
    return {
        **_undocumented(stage, STAGE_FIELDS),
        "pipeline_id": pipeline["id"],
        "pipeline_label": pipeline.get("label"),
        "stage_id": stage["id"],
        "label": stage.get("label"),
        "display_order": stage.get("displayOrder"),
        "is_closed": metadata.get("isClosed"),
        "probability": metadata.get("probability"),
        "is_deleted": stage.get("archived", False),
    }


def _parts(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    whole = list(items)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def _singular(kind: str) -> str:
    return "company" if kind == "companies" else kind[:-1]
