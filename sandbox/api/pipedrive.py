"""The sandbox company's CRM, served as Pipedrive's API: v2 lists with cursors, v1 where there is no v2.

Token in the `x-api-token` header or (v1) the query, pages of at most 500, `updated_since`, at most 15
custom fields asked for by key, error bodies and limits are Pipedrive's as documented. Deleted deals are
listed for 30 days by their status; deleted or merged organizations, persons and activities are in no list.
Records come from `World.crm`, and changes by PATCH, DELETE and merge go back into it; deleting a record
does not move its `update_time`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api import pipedrive_edits as edits
from sandbox.api import pipedrive_fields as fields
from sandbox.api import pipedrive_shapes as shapes
from sandbox.api.pipedrive_shapes import Json, Stages
from sandbox.world import World

#: What the third of Pipedrive's plans allows.
LIMIT = (80, 2)
KEY = "sandbox-pipedrive-key"
MAX_PAGE = 500
PAGE = 100
MOST_KEYS = 15
HELP = "Please check developers.pipedrive.com"
V1, V2 = ("/api/v1", "/v1"), "/api/v2"


class _Refused(Exception):
    """A request Pipedrive answers with an error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = _error(status, message)


def authorised(request: Request) -> bool:
    """Whether the request carries the token; API v2 takes it from the header only."""
    in_query = request.query_params.get("api_token") if V2 not in request.url.path else None
    return KEY in (request.headers.get("x-api-token"), in_query)


def unauthorised() -> Response:
    """Pipedrive's answer to a missing or wrong token."""
    return _error(401, "unauthorized access")


def rate_limited(retry_after: int) -> Response:
    """Pipedrive's answer past the limit of a two-second stretch."""
    headers = {"Retry-After": str(retry_after), "x-ratelimit-reset": str(retry_after)}
    return _error(429, "request over limit", headers)


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """The routes of the vendor, over whatever world the sandbox is in."""
    crm = _Crm(get_world)
    return [
        *_v1("/users", crm.users),
        *_v1("/users/me", crm.me),
        *_v1("/roles", crm.roles),
        *_v1("/legacyTeams", crm.teams),
        *_v1("/notes", crm.notes),
        *_v1("/deals/summary", crm.summary),
        *_v1("/deals/summary/archived", crm.summary),
        *_v1("/deals/{id}/flow", crm.flow),
        *_v1("/deals/{id}/participants", crm.participants),
        *_v1("/{kind}/{id}/merge", crm.merge, "PUT"),
        *_v1("/notes/{id}", crm.delete_note, "DELETE"),
        *[
            Route(f"{V2}/{entity}Fields", _answer(crm.described(entity)))
            for entity in (fields.ORGANIZATION, fields.PERSON, fields.DEAL)
        ],
        Route(f"{V2}/pipelines", _answer(crm.pipelines)),
        Route(f"{V2}/stages", _answer(crm.stages)),
        Route(f"{V2}/deals/archived", _answer(crm.archived)),
        Route(f"{V2}/{{kind}}", _answer(crm.page)),
        Route(f"{V2}/{{kind}}/{{id}}", _answer(crm.patch), methods=["PATCH"]),
        Route(f"{V2}/{{kind}}/{{id}}", _answer(crm.delete), methods=["DELETE"]),
    ]


def _v1(path: str, handler: Callable[[Request], Any], method: str = "GET") -> list[BaseRoute]:
    return [Route(prefix + path, _answer(handler), methods=[method]) for prefix in V1]


class _Crm:
    """The handlers; each takes the world of the moment."""

    def __init__(self, get_world: Callable[[], World]) -> None:
        self._world = get_world
        self._put_away: set[str] = set()  # deals that are archived, which is not deleted

    def _records(self, kind: str) -> list[Any]:
        """Every record of a kind, deleted ones included."""
        crm = self._world().crm
        if kind in ("activities", "notes"):
            return [a for a in crm.activities if (a.activity_type == "note") == (kind == "notes")]
        found: dict[str, list[Any]] = {
            "deals": crm.deals,
            "persons": crm.contacts,
            "organizations": crm.companies,
        }
        if kind not in found:
            raise _Refused(404, "Unknown method.")
        return found[kind]

    def _one(self, kind: str, key: str) -> Any:
        """A record that is not deleted."""
        for record in self._records(kind):
            if record.id == key and record.archived_at is None:
                return record
        raise _Refused(404, f"{kind.rstrip('s').capitalize()} not found")

    def _render(self, kind: str, records: list[Any], keys: list[str]) -> list[Json]:
        world = self._world()
        if kind == "deals":
            stages = Stages(world)
            live = {contact.id for contact in world.crm.contacts if contact.archived_at is None}
            return [
                shapes.deal(world, stages, record, live, keys) | {"is_archived": record.id in self._put_away}
                for record in records
            ]
        if kind == "activities":
            return [shapes.activity(record) for record in records]
        shape: Callable[..., Json] = shapes.person if kind == "persons" else shapes.organization
        return [shape(world, record, keys) for record in records]

    async def page(self, request: Request) -> Json:
        """A list of API v2. Only deals can be asked for by a status."""
        kind = request.path_params["kind"]
        wanted = _names(request, "status") if kind == "deals" else []
        if unknown := [name for name in wanted if name not in ("open", "won", "lost", "deleted")]:
            raise _Refused(400, f"Validation failed: status: {unknown[0]!r} is not allowed")
        world, stages = self._world(), Stages(self._world())

        def is_shown(record: Any) -> bool:
            if record.archived_at is not None:
                return "deleted" in wanted and record.archived_at > world.now - shapes.KEPT
            if kind == "deals" and record.id in self._put_away:
                return False
            return not wanted or stages.outcome(record.pipeline, record.stage) in wanted

        return self._page(request, kind, [r for r in self._records(kind) if is_shown(r)])

    async def archived(self, request: Request) -> Json:
        """Archived deals, which the list of deals does not hold."""
        found = [d for d in self._records("deals") if d.id in self._put_away and d.archived_at is None]
        return self._page(request, "deals", found)

    def _page(self, request: Request, kind: str, found: list[Any]) -> Json:
        query = request.query_params
        keys = _names(request, "custom_fields")
        if len(keys) > MOST_KEYS:
            raise _Refused(400, f"Validation failed: custom_fields: a maximum of {MOST_KEYS} keys is allowed")
        orders: dict[str, Callable[[Any], Any]] = {
            "id": lambda record: int(record.id),
            "update_time": lambda record: record.updated_at.timestamp(),
            "add_time": lambda record: record.created_at.timestamp(),
        }
        order = query.get("sort_by", "id")
        if order not in orders:
            raise _Refused(400, "Validation failed: sort_by: Invalid option")
        since = _moment(query.get("updated_since"))
        if since is not None:
            found = [record for record in found if record.updated_at >= since]
        until = _moment(query.get("updated_until"))
        if until is not None:
            found = [record for record in found if record.updated_at < until]

        def place(record: Any) -> list[Any]:
            return [orders[order](record), int(record.id)]

        is_down = query.get("sort_direction") == "desc"
        found = sorted(found, key=place, reverse=is_down)
        after = _cursor(query.get("cursor"))
        if after is not None:
            found = [
                record for record in found if (place(record) < after) == is_down and place(record) != after
            ]
        limit = _limit(request)
        page = found[:limit]
        following = _token(place(page[-1])) if len(found) > limit else None
        shown = self._render(kind, page, keys)
        if "participants_count" not in _names(request, "include_fields"):
            for body in shown:
                body.pop("participants_count", None)
        return _good(shown) | {"additional_data": {"next_cursor": following}}

    def described(self, entity: str) -> Callable[[Request], Any]:
        """The fields of organizations, persons or deals."""

        async def answer(request: Request) -> Json:
            found = fields.described(self._world(), entity)
            start = (_cursor(request.query_params.get("cursor")) or [0])[0]
            end = start + _limit(request)
            following = _token([end]) if end < len(found) else None
            return _good(found[start:end]) | {"additional_data": {"next_cursor": following}}

        return answer

    async def users(self, request: Request) -> Json:
        """All users; the list has no pages."""
        return _good([shapes.user(owner) for owner in self._world().crm.owners])

    async def me(self, request: Request) -> Json:
        """The user the token belongs to."""
        return _good(shapes.user(self._world().crm.owners[0]))

    async def roles(self, request: Request) -> Json:
        """Roles."""
        return _counted(request, shapes.roles(self._world()))

    async def teams(self, request: Request) -> Json:
        """Teams; the list has no pages."""
        return _good(shapes.teams(self._world()) or None)

    async def pipelines(self, request: Request) -> Json:
        """Deal pipelines."""
        world = self._world()
        found = shapes.pipelines(world, Stages(world))
        return _good(found) | {"additional_data": {"next_cursor": None}}

    async def stages(self, request: Request) -> Json:
        """Stages of all pipelines."""
        world = self._world()
        stages = Stages(world)
        found = [shapes.stage(world, stages, stage) for stage in stages.open]
        return _good(found) | {"additional_data": {"next_cursor": None}}

    async def notes(self, request: Request) -> Json:
        """Notes, by id or by the time of their last change."""
        since = _moment(request.query_params.get("updated_since"))
        found = [n for n in self._records("notes") if n.archived_at is None]
        if since is not None:
            found = [n for n in found if n.updated_at >= since]
        order, _, direction = request.query_params.get("sort", "id ASC").partition(" ")
        by: dict[str, Callable[[Any], Any]] = {
            "id": lambda n: int(n.id),
            "update_time": lambda n: n.updated_at,
        }
        if order not in by:
            raise _Refused(400, "Bad request")
        found.sort(key=by[order], reverse=direction.upper() == "DESC")
        return _counted(request, [shapes.note(n) for n in found])

    async def summary(self, request: Request) -> Json:
        """How many deals there are, archived or not; here without their values."""
        archived = request.url.path.endswith("/archived")
        live = [deal for deal in self._records("deals") if deal.archived_at is None]
        return _good({"total_count": sum((deal.id in self._put_away) == archived for deal in live)})

    async def flow(self, request: Request) -> Json:
        """What happened to a deal; here, changes of its fields."""
        deal = self._one("deals", request.path_params["id"])
        changes = edits.flow(Stages(self._world()), deal)
        if request.query_params.get("all_changes") != "1":
            changes = [entry for entry in changes if entry["data"]["field_key"] not in fields.BY_KEY]
        return _counted(request, changes)

    async def participants(self, request: Request) -> Json:
        """The persons who take part in a deal."""
        deal = self._one("deals", request.path_params["id"])
        people = {c.id: c for c in self._world().crm.contacts if c.archived_at is None}
        found = [
            shapes.participant(place, deal, people[key])
            for place, key in enumerate(deal.contact_ids)
            if key in people
        ]
        return _counted(request, found)

    async def patch(self, request: Request) -> Json:
        """Change fields of a record. The sandbox alone takes `?at=`, the time it happened."""
        kind = request.path_params["kind"]
        record, given = self._one(kind, request.path_params["id"]), await _body(request)
        if kind == "deals" and "is_archived" in given:
            (self._put_away.add if given.pop("is_archived") else self._put_away.discard)(record.id)
        unknown = edits.change(kind, Stages(self._world()), record, given, self._at(request))
        if unknown is not None:
            raise _Refused(400, f"Validation failed: {unknown}: Unrecognized key(s) in object")
        return _good(self._render(kind, [record], [])[0])

    async def delete(self, request: Request) -> Json:
        """Delete a record."""
        record = self._one(request.path_params["kind"], request.path_params["id"])
        record.archived_at = self._at(request)
        return _good({"id": int(record.id)})

    async def delete_note(self, request: Request) -> Json:
        """Delete a note."""
        self._one("notes", request.path_params["id"]).archived_at = self._at(request)
        return _good(True)

    async def merge(self, request: Request) -> Json:
        """Merge a record into the one of `merge_with_id`, which stays."""
        kind = request.path_params["kind"]
        loser = self._one(kind, request.path_params["id"])
        winner = self._one(kind, str((await _body(request)).get("merge_with_id")))
        edits.merge(self._world(), kind, loser, winner, self._at(request))
        return _good({"id": int(winner.id), "merge_what_id": int(loser.id)})

    def _at(self, request: Request) -> datetime:
        """When it happened: at `?at=`, or at the latest moment there is."""
        return _moment(request.query_params.get("at")) or self._world().now - timedelta(seconds=1)


def _answer(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await handler(request), headers=_limits())
        except _Refused as refused:
            return refused.response

    return answer


def _limits() -> dict[str, str]:
    return {"x-ratelimit-limit": str(LIMIT[0]), "x-ratelimit-reset": str(LIMIT[1])}


def _good(data: Any) -> Json:
    return {"success": True, "data": data}


def _counted(request: Request, found: list[Json]) -> Json:
    """A page of API v1, counted off from `start`; nothing is null, not an empty list."""
    try:
        start = int(request.query_params.get("start", "0"))
    except ValueError:
        raise _Refused(400, "Bad request") from None
    limit = _limit(request)
    more = start + limit < len(found)
    pagination: Json = {"start": start, "limit": limit, "more_items_in_collection": more}
    if more:
        pagination["next_start"] = start + limit
    return _good(found[start : start + limit] or None) | {"additional_data": {"pagination": pagination}}


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"success": False, "error": message, "errorCode": status, "error_info": HELP}
    return JSONResponse(body | {"data": None, "additional_data": None}, status, headers=headers)


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE))
    if not text.isdigit() or not 1 <= int(text) <= MAX_PAGE:
        raise _Refused(400, f"Validation failed: limit: Number must be from 1 to {MAX_PAGE}")
    return int(text)


def _names(request: Request, name: str) -> list[str]:
    return [part for part in request.query_params.get(name, "").split(",") if part]


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Refused(400, "Validation failed: updated_since: Invalid date") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _token(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _cursor(token: str | None) -> list[Any] | None:
    if not token:
        return None
    try:
        place: list[Any] = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise _Refused(400, "Validation failed: cursor: Invalid cursor") from None
    return place


async def _body(request: Request) -> Json:
    try:
        given = await request.json()
    except ValueError:
        raise _Refused(400, "Bad request") from None
    return given if isinstance(given, dict) else {}
