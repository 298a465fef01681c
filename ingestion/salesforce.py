"""Salesforce: users, accounts, contacts, leads, opportunities with history, activities, campaigns.

In: an app's client id and secret (or a refresh token as well), and the organisation's My Domain address as
base_url. Out: raw tables, one per object, in Salesforce's own field names (`salesforce_tables`). Everything
is read by SOQL through the REST API's `queryAll`, which shows deleted, merged and archived records too.

Objects: User, RecordType (of opportunities), OpportunityStage, Account, Contact, Lead, LeadHistory,
Opportunity, OpportunityContactRole, OpportunityFieldHistory, Task, Event, Campaign, CampaignMember. Which
fields an organisation has is asked first (describe): custom and edition-dependent ones it lacks are NULL.

Changes: records whose SystemModstamp (of history: CreatedDate) is not older than the newest one of the load
before, minus the lag window. Users, record types and stages are few and listed fully. Salesforce's own counts
(SELECT COUNT()) of all other objects but history are compared with what arrived.

Deletes: `IsDeleted` of the recycle bin, merged records with `MasterRecordId` among them. The bin is emptied
after 15 days, and may be by hand: every 14 days, or when Salesforce counts fewer records than are known, the
ids of all live ones are listed, and a record that is gone is marked deleted.

Limits: 100,000 requests in 24 hours (Enterprise Edition; licences add to it), at most 2,000 records in an
answer, 25 long requests at a time. A load asks one after another. History of fields reaches back 24 months at
most; what has been loaded stays.

Permissions: the app needs the scope `api` (and `refresh_token`, if one is used); the user it runs as needs
API Enabled, View All on the objects above and read access to their fields. Field history tracking must be on
for Stage, Amount, Close Date, Owner and Forecast Category of opportunities and for Lead Status.

Secrets: client_id, client_secret; refresh_token to log in by refresh token rather than by client credentials.

Left out: OpportunityHistory, whose snapshots have no owner; the direction of e-mails (EmailMessage); notes
and files; person accounts' own fields; an opportunity's product lines (a field of it has the product).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltSource
from requests import HTTPError

from ingestion import changes, core
from ingestion.arrow import TYPES, to_arrow
from ingestion.core import COUNTS, Batches, Feed, State, count_at_source, counts, make_source
from ingestion.custom import asked_for
from ingestion.http import VendorClient, explain
from ingestion.salesforce_session import Locators, connect
from ingestion.salesforce_tables import OBJECTS, TABLES, SObject, column
from settings.config import SourceConfig
from settings.errors import UserError

__all__ = ["TABLES", "check", "source"]

VERSION = "v62.0"
DATA = f"/services/data/{VERSION}"
#: Requests in seconds: most of what Salesforce allows an organisation of the Enterprise Edition.
LIMIT = (95_000, 86_400)
#: Rows that are turned into one Arrow table.
BATCH = 20_000
#: Shorter than the 15 days that deleted records stay in the recycle bin.
SWEEP_DAYS = 14

log = logging.getLogger(__name__)

Row = dict[str, Any]

#: What tells whether a record is among those counted.
_COUNTED = {"id": "text", "created_date": "timestamp", "is_deleted": "bool"}


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """Every raw table of an organisation. `as_of` only decides whether a sweep is due."""
    organisation = _Organisation(connect(config, LIMIT), config, as_of)
    feeds: dict[str, Feed] = {name: partial(organisation.records, name) for name in OBJECTS}
    return make_source(config, TABLES, {**feeds, COUNTS: counts})


def check(config: SourceConfig) -> None:
    """One cheap call that needs a session and access to accounts."""
    try:
        connect(config, LIMIT).get_json(f"{DATA}/query", {"q": "SELECT Id FROM Account LIMIT 1"})
    except Exception as exc:
        raise explain(exc, config.name) from exc


class _Organisation:
    """One load of an organisation."""

    def __init__(self, api: VendorClient, config: SourceConfig, as_of: datetime) -> None:
        self.api = api
        self.config = config
        self.as_of = as_of
        before = as_of - timedelta(minutes=config.lag_minutes)
        self.counted_before = before.replace(microsecond=0)  # which is as fine as SOQL asks

    def records(self, table: str, state: State) -> Batches:
        """An object's records: all on a first load, changed ones later."""
        its = self._object(table)
        fields = self._fields(table, its)
        if not fields:
            return
        if its.cursor is None:
            yield from self._rows(its, fields, [])
            return
        since, until = changes.cursor_range(state, self.config.lag_minutes)
        asked = [f"{its.cursor} >= {_soql(since)}"] if since else []
        asked += [f"{its.cursor} < {_soql(until)}"] if until else []
        newest = self._newest(its)
        is_counted, met = its.cursor == "SystemModstamp", []
        for rows in self._rows(its, fields, asked):
            if since and is_counted:
                of_it = [{name: row.get(name) for name in _COUNTED} for row in rows]
                met.append(to_arrow(table, _COUNTED, of_it))
            yield rows
        changes.advance_cursor(state, [newest])
        if is_counted:
            counted = self._count(its)
            count_at_source(table, counted, "created_date", self.counted_before)
            yield from self._swept(table, its, state, bool(met) and self._known(table, met) > counted)

    def _object(self, table: str) -> SObject:
        """What is asked for of an object: also the fields that the company wants."""
        its, wanted = OBJECTS[table], asked_for(self.config, *TABLES[table].fills)
        own = {field: "text" for field in wanted if field not in its.fields}
        return replace(its, fields={**its.fields, **own}, optional=its.optional | own.keys())

    def _fields(self, table: str, its: SObject) -> list[str]:
        """The fields that the organisation has and the user may read; none of an object that is not there."""
        try:
            described = self.api.get_json(f"{DATA}/sobjects/{its.name}/describe")["fields"]
        except HTTPError as exc:
            if exc.response.status_code != 404:
                raise
            said = (
                f"table {table!r}: Salesforce has no object {its.name}, or does not show it to the user. "
                "Give the user's permission set read access to it"
            )
            if its.needed:
                raise UserError(said) from exc
            log.warning("%s. Without it the table gets no rows", said)
            return []
        shown = {field["name"] for field in described}
        hidden = [name for name in its.fields if _described(name) not in shown]
        lost = [f"{its.name}.{name}" for name in hidden if name not in its.optional]
        if lost:
            raise UserError(
                f"table {table!r}: Salesforce does not show the user {', '.join(lost)}. "
                "Give the user's permission set read access to it"
            )
        return [name for name in its.fields if name not in hidden]

    def _newest(self, its: SObject) -> str | None:
        """Where the next load reads on: asked first, whatever changes while the list is read."""
        cursor = str(its.cursor)
        for page in self._query(its, [cursor], [], f"ORDER BY {cursor} DESC LIMIT 1"):
            for record in page:
                return str(record[cursor])
        return None

    def _rows(self, its: SObject, fields: list[str], conditions: list[str]) -> Iterator[list[Row]]:
        relations = {name.split(".")[0] for name in its.fields if "." in name}
        rows: list[Row] = []
        for page in self._query(its, fields, conditions):
            rows += [_row(record, relations) for record in page]
            if len(rows) >= BATCH:
                yield rows
                rows = []
        yield rows

    def _count(self, its: SObject) -> int:
        """Live records as Salesforce counts them; the newest may not have been there when they were read."""
        asked = ["IsDeleted = false", f"CreatedDate < {_soql(self.counted_before)}"]
        return int(self.api.get_json(f"{DATA}/queryAll", {"q": _query(its, ["COUNT()"], asked)})["totalSize"])

    def _known(self, table: str, met: list[pa.Table]) -> int:
        """Live records of the same time as the warehouse will have them, with those `met` in this load."""
        read = pa.concat_tables(met)
        others, _ = changes.gone(table, ("id",), list(_COUNTED), read.select(["id"]))
        live = read.filter(pc.invert(read["is_deleted"])).select(list(_COUNTED))
        parts = [live] if others is None else [live, others.cast(live.schema)]
        created = pa.concat_tables(parts)["created_date"]
        return pc.sum(pc.less(created, pa.scalar(self.counted_before, created.type))).as_py() or 0

    def _swept(self, table: str, its: SObject, state: State, is_due: bool) -> Iterator[pa.Table]:
        """Now and then, or when it `is_due`, what is gone without having been seen in the recycle bin."""
        swept = datetime.fromisoformat(state.setdefault("swept", self.as_of.isoformat()))
        if not is_due and self.as_of - swept < timedelta(days=SWEEP_DAYS):
            return
        ids = [record["Id"] for page in self._query(its, ["Id"], ["IsDeleted = false"]) for record in page]
        yield core.deleted(table, TABLES[table], [pa.table({"id": pa.array(ids, TYPES["text"])})])
        state["swept"] = self.as_of.isoformat()

    def _query(
        self, its: SObject, fields: list[str], conditions: list[str], end: str = ""
    ) -> Iterator[list[Row]]:
        """Pages of a query's records, deleted ones included."""
        yield from self.api.paginate(
            f"{DATA}/queryAll",
            params={"q": _query(its, fields, conditions, end)},
            paginator=Locators(str(self.config.base_url)),
            data_selector="records",
        )


def _query(its: SObject, fields: list[str], conditions: list[str], end: str = "") -> str:
    """A query in SOQL."""
    wanted = [*([its.where] if its.where else []), *conditions]
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    words = ("SELECT", ", ".join(fields), "FROM", its.name, where, end)
    return " ".join(word for word in words if word)


def _described(field: str) -> str:
    """The field that describe lists: of `Owner.Type` it is `OwnerId`."""
    return field.split(".")[0] + "Id" if "." in field else field


def _soql(moment: datetime) -> str:
    """A time as SOQL writes it, to the second, which is as fine as Salesforce keeps it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(record: Row, relations: set[str]) -> Row:
    """A record, with the fields of its relations beside its own."""
    row: Row = {"is_deleted": False}
    for name, value in record.items():
        if name in relations:
            row |= {column(f"{name}.{its}"): v for its, v in (value or {}).items() if its != "attributes"}
        elif name != "attributes":
            row[column(name)] = value
    return row
