"""Pipedrive: users, teams, pipelines, organizations, persons, deals with history, activities, notes.

In: an API token. Out: the raw tables of `pipedrive_tables`, in Pipedrive's own names; from API v2 what it
has, from API v1 users, roles, teams, notes and what belongs to one deal.

Objects: users, roles, teams, pipelines, stages, organizations, persons, deals (archived ones too) with
their changes and participants, activities, notes. What Pipedrive has no field for is read from custom
fields, found by their names.

Changes: lists of organizations, persons, deals, activities and notes by `update_time`, minus the lag
window. A deal that changed is asked for its flow and its participants. Everything is listed again when a
field or an option it uses was renamed, added or removed. Pipedrive's own count of deals is compared with what
arrived; it counts nothing else.

Deletes: deleted deals are listed for 30 days, and are read in every load. Deleted and merged organizations
and persons, deleted activities and notes show in no list: all ids are compared every 7 days.

Limits: pages of 500; requests are counted in stretches of two seconds, and the account's plan says how many
are allowed in each answer; every request also costs tokens of a daily budget, a first load one or two per
deal.

Permissions: the token of a user who sees everything (a global admin); nothing is written.

Secrets: api_key, a user's API token.

Left out: texts of notes, activities and e-mails; the mailbox, which shows only the token owner's mail; the
Leads Inbox, since the lifecycle of persons says who is a lead; a deal's participant exchanged for another
without any change of the deal; what a deal went through between its last load and its deletion.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
from dlt.extract import DltSource
from dlt.sources.helpers.rest_client.auth import APIKeyAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from requests import HTTPError, Response

from ingestion import changes, core
from ingestion.arrow import TYPES
from ingestion.core import COUNTS, Batches, Feed, State, count_at_source, counts, make_source
from ingestion.custom import asked_for
from ingestion.http import VendorClient, client, explain, limiter, secret
from ingestion.pipedrive_rows import Json, OwnFields, participant, v1
from ingestion.pipedrive_tables import FIELDS, TABLES
from settings.config import SourceConfig
from settings.errors import UserError

__all__ = ["TABLES", "check", "source"]

log = logging.getLogger(__name__)

BASE_URL = "https://api.pipedrive.com"
V1, V2 = "/api/v1", "/api/v2"
PAGE = 500
FLOW_PAGE = 100
#: Requests in seconds that the smallest plan allows; a larger one says so in its answers.
LIMIT = (18, 2)
#: The share that is used of what the plan allows, and what the largest plan allows a token.
SHARE, MOST_ALLOWED = 0.9, 480
#: Custom fields that a list can be asked for by key; asked for more, it refuses.
MOST_KEYS = 15
SWEEP_DAYS = 7
#: After every moment there is: Pipedrive's count cannot be asked for by the time of creation.
ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)
BATCH = 5_000

#: The lists that together hold a table's live objects.
LISTS = {
    "organizations": (f"{V2}/organizations",),
    "persons": (f"{V2}/persons",),
    "deals": (f"{V2}/deals", f"{V2}/deals/archived"),
    "activities": (f"{V2}/activities",),
    "notes": (f"{V1}/notes",),
}


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """Every raw table of a Pipedrive account."""
    load = _Load(_client(config), as_of, config)
    feeds: dict[str, Feed] = {
        "users": load.users,
        "roles": load.roles,
        "teams": load.teams,
        "pipelines": load.pipelines,
        "stages": load.stages,
        **{table: partial(load.objects, table) for table in ("organizations", "persons", "deals")},
        "deal_changes": load.deal_changes,
        "deal_participants": load.deal_participants,
        **{table: partial(load.objects, table) for table in ("activities", "notes")},
        COUNTS: counts,
    }
    return make_source(
        config, TABLES, {name: partial(_served, config.name, feed) for name, feed in feeds.items()}
    )


def check(config: SourceConfig) -> None:
    """One cheap call that needs the token."""
    try:
        _client(config).get_json(f"{V1}/users/me")
    except Exception as exc:
        raise explain(exc, config.name) from exc


def _client(config: SourceConfig) -> VendorClient:
    token = APIKeyAuth(name="x-api-token", api_key=secret(config), location="header")
    return client(config, BASE_URL, token, limit=LIMIT)


def _served(source_name: str, feed: Feed, state: State) -> Batches:
    """The feed's batches; an account that is not paid for says so with a status of its own."""
    try:
        yield from feed(state)
    except HTTPError as exc:
        if exc.response is not None and exc.response.status_code == 402:
            raise UserError(
                f"source {source_name!r}: Pipedrive does not serve this account (HTTP 402): its trial or "
                "subscription has ended. Nothing was loaded; renew it, or take the source out of revops.toml"
            ) from exc
        raise


class _Load:
    """One load of one account. `deals` runs before what is asked for deal by deal."""

    def __init__(self, api: VendorClient, as_of: datetime, config: SourceConfig) -> None:
        self.api = api
        self.as_of = as_of
        self.config = config
        self.own: dict[str, OwnFields] = {}
        self.met: dict[str, int] = {}  # deals to be asked for their flow, with their number of participants

    def users(self, _state: State) -> Batches:
        """All users. The first answer says how many requests the plan allows."""
        answer = self.api.get(f"{V1}/users")
        self._obey(answer)
        yield [v1(body) for body in answer.json()["data"] or []]

    def roles(self, _state: State) -> Batches:
        """All roles."""
        yield from self._v1_list(f"{V1}/roles")

    def teams(self, _state: State) -> Batches:
        """All teams. Smaller plans have none, and refuse the question."""
        try:
            teams = [v1(body) for body in self.api.get_json(f"{V1}/legacyTeams")["data"] or []]
        except HTTPError as exc:
            if exc.response is None or exc.response.status_code not in (402, 403):
                raise
            log.warning(
                "table 'teams': Pipedrive does not show teams to this token (HTTP %s), so owners have none. "
                "If the plan has teams, let a global admin's token read them",
                exc.response.status_code,
            )
            return
        yield [team | {"is_deleted": team.get("deleted_flag") in (1, True)} for team in teams]
        yield self._gone("teams", [str(team["id"]) for team in teams])

    def pipelines(self, _state: State) -> Batches:
        """All pipelines."""
        yield from self._v2_list("pipelines")

    def stages(self, _state: State) -> Batches:
        """All stages of all pipelines."""
        yield from self._v2_list("stages")

    def objects(self, table: str, state: State) -> Batches:
        """Objects that changed since the last load; all of them on a first load, and now and then."""
        own = self._own(table)
        since, until = changes.cursor_range(state, self.config.lag_minutes)
        swept = state.get("swept")
        is_due = swept is None or self.as_of - datetime.fromisoformat(swept) >= timedelta(days=SWEEP_DAYS)
        deleted = self._deleted(own) if table == "deals" else []
        if since is None or is_due or state.get("fields") != own.digest:
            yield from self._everything(table, own, state, deleted)
            state["swept"], state["fields"] = self.as_of.isoformat(), own.digest
        else:
            for path in LISTS[table]:
                for rows in self._pages(path, own, since, until):
                    yield self._noted(table, rows, {})
                    changes.advance_cursor(state, [row["update_time"] for row in rows])
        yield deleted
        if table == "deals":
            self._count_deals()

    def deal_changes(self, _state: State) -> Batches:
        """Changes of the deals met in this load."""
        own, batch = self._own("deals"), []
        for key in self.met:
            asked = {"all_changes": 1, "items": "change,dealChange", "limit": FLOW_PAGE}
            for page in self._of_deal(key, "flow", asked):
                found = [own.change(entry) for entry in page if entry["object"] == "dealChange"]
                batch += [row for row in found if row is not None]
            if len(batch) >= BATCH:
                yield batch
                batch = []
        yield batch

    def deal_participants(self, _state: State) -> Batches:
        """Participants of the deals met in this load, and those of before who are none any more."""
        rows = [
            participant(key, body)
            for key, count in self.met.items()
            if count
            for page in self._of_deal(key, "participants", {"limit": FLOW_PAGE})
            for body in page
        ]
        yield rows
        now = {(row["deal_id"], str(row["person_id"])) for row in rows}
        columns = ("deal_id", "person_id", "add_time")
        known = changes.known_rows("deal_participants", columns, "not is_deleted")
        lost = [row for row in known if row["deal_id"] in self.met]
        yield [row | {"is_deleted": True} for row in lost if (row["deal_id"], row["person_id"]) not in now]

    def _deleted(self, own: OwnFields) -> list[Json]:
        """Deals deleted in the last 30 days."""
        listed = self._pages(f"{V2}/deals", own, None, status="deleted")
        return [row for rows in listed for row in rows]

    def _count_deals(self) -> None:
        """Live deals as Pipedrive counts them: those there are now, whenever they were made."""
        summaries = [
            self.api.get_json(f"{V1}/deals/{path}")["data"] for path in ("summary", "summary/archived")
        ]
        found = sum(int(summary["total_count"]) for summary in summaries)
        count_at_source("deals", found, "add_time", ANY_TIME)

    def _everything(self, table: str, own: OwnFields, state: State, deleted: list[Json]) -> Batches:
        """All live objects by id, so that none is skipped while they change; then those that are no more."""
        newest = [moment for path in LISTS[table] for moment in self._newest(path)]
        known: dict[str, Json] = {}
        if table == "deals":
            columns = ("id", "update_time", "person_id", "participants_count")
            known = {row["id"]: row for row in changes.known_rows("deals", columns)}
        ids = [str(row["id"]) for row in deleted]
        for path in LISTS[table]:
            for rows in self._pages(path, own, None):
                ids += [str(row["id"]) for row in rows]
                yield self._noted(table, rows, known)
        yield self._gone(table, ids)
        changes.advance_cursor(state, newest)

    def _noted(self, table: str, rows: list[Json], known: dict[str, Json]) -> list[Json]:
        """The same rows; deals that are not known as they are now will be asked for their flow."""
        for row in rows if table == "deals" else ():
            key, before = str(row["id"]), known.get(str(row["id"]))
            same = before is not None and (
                before["update_time"] == _moment(row["update_time"])
                and before["participants_count"] == row.get("participants_count")
                and before["person_id"] == (None if row.get("person_id") is None else str(row["person_id"]))
            )
            if not same:
                count = row.get("participants_count")
                self.met[key] = 1 if count is None else count
        return rows

    def _own(self, table: str) -> OwnFields:
        """The account's own fields of a table, described once a load."""
        if table not in self.own:
            path = FIELDS.get(table)
            found = self._paged(f"{V2}/{path}", {"limit": PAGE}) if path else ()
            asked = asked_for(self.config, *TABLES[table].fills)
            self.own[table] = OwnFields(table, [field for page in found for field in page], asked)
            if self.own[table].missing:
                names = ", ".join(map(repr, self.own[table].missing))
                said = "table %r: Pipedrive has no field named %s, so nothing is read for it. "
                log.warning(said + "If it has another name, say so in pipedrive_tables.CUSTOM", table, names)
        return self.own[table]

    def _pages(
        self,
        path: str,
        own: OwnFields,
        since: datetime | None,
        until: datetime | None = None,
        **params: Any,
    ) -> Iterator[list[Json]]:
        """A list by id, or what changed since (and before `until`), the oldest change first."""
        asked: dict[str, Any] = {"limit": PAGE, **params}
        for name, moment in (("updated_since", since), ("updated_until", until)):
            if moment is not None:
                asked[name] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if path.startswith(V1):
            # Pages of API v1 are counted off: in the order of ids no change moves a row to another page.
            asked.pop("updated_until", None)  # which API v1 does not know
            for page in self._paged(path, {**asked, "sort": "id ASC"}):
                yield [v1(body) for body in page if until is None or _moment(body["update_time"]) < until]
            return
        asked |= {"sort_by": "id" if since is None else "update_time", "sort_direction": "asc"}
        if "deals" in path:
            asked["include_fields"] = "participants_count"
        if 0 < len(own.keys) <= MOST_KEYS:
            asked["custom_fields"] = ",".join(own.keys)
        for page in self._paged(path, asked):
            yield [own.row(body) for body in page]

    def _newest(self, path: str) -> list[str]:
        """The latest change in a list: where the next load reads on, whatever changes meanwhile."""
        last: dict[str, Any] = {"sort_by": "update_time", "sort_direction": "desc"}
        order = {"sort": "update_time DESC"} if path.startswith(V1) else last
        found = self.api.get_json(path, {"limit": 1, **order})["data"] or []
        return [body["update_time"] for body in found]

    def _of_deal(self, key: str, what: str, params: dict[str, Any]) -> Iterator[list[Json]]:
        """Pages of what belongs to a deal; nothing if the deal was deleted meanwhile."""
        try:
            yield from self._paged(f"{V1}/deals/{key}/{what}", params)
        except HTTPError as exc:
            if exc.response is None or exc.response.status_code != 404:
                raise

    def _v1_list(self, path: str) -> Iterator[list[Json]]:
        for page in self._paged(path, {"limit": PAGE}):
            yield [v1(body) for body in page]

    def _v2_list(self, name: str) -> Iterator[list[Json]]:
        for page in self._paged(f"{V2}/{name}", {"limit": PAGE}):
            yield [body | {"is_deleted": body.get("is_deleted") is True} for body in page]

    def _paged(self, path: str, params: dict[str, Any]) -> Iterator[list[Json]]:
        """Pages as each of the two APIs counts them."""
        v1_next, v2_next = "additional_data.pagination.next_start", "additional_data.next_cursor"
        follow = (v1_next, "start") if path.startswith(V1) else (v2_next, "cursor")
        paginator = JSONResponseCursorPaginator(cursor_path=follow[0], cursor_param=follow[1])
        for page in self.api.paginate(path, params=params, paginator=paginator, data_selector="data"):
            yield list(page)

    def _obey(self, answer: Response) -> None:
        """Go as fast as the plan allows: Pipedrive says the requests of a stretch in each answer."""
        said = answer.headers.get("x-ratelimit-limit", "")
        allowed = int(min(int(said), MOST_ALLOWED) * SHARE) if said.isdigit() else 0
        if allowed > LIMIT[0]:
            self.api.limiter = limiter((allowed, LIMIT[1]))

    def _gone(self, table: str, ids: list[str]) -> pa.Table:
        """Rows of the warehouse that a whole list no longer holds, marked deleted."""
        return core.deleted(table, TABLES[table], [pa.table({"id": pa.array(ids, TYPES["text"])})])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
