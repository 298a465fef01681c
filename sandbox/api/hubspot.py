"""The sandbox company's CRM, served as HubSpot's CRM API.

Paths, bearer auth, paging, limits, archived records, property history, search with its 10,000 ceiling,
associations and error bodies are HubSpot's as documented. Records come from `World.crm`, and changes by
PATCH and DELETE go back into it. As at HubSpot, archiving a record or associating it later does not move its
modified date.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api import hubspot_links as links
from sandbox.api import hubspot_records as records
from sandbox.world import World

LIMIT = (190, 10)
KEY = "sandbox-hubspot-key"

PAGE_LIMIT = 100
HISTORY_LIMIT = 50
SEARCH_LIMIT = 200
SEARCH_CEILING = 10_000
ASSOCIATION_LIMIT = 1000


class _RefusedError(Exception):
    """A request HubSpot answers with an error body."""

    def __init__(self, status: int, category: str, message: str) -> None:
        super().__init__(message)
        self.status, self.category, self.message = status, category, message


def authorised(request: Request) -> bool:
    """Whether the request carries the private app's token."""
    return request.headers.get("authorization") == f"Bearer {KEY}"


def unauthorised() -> Response:
    """HubSpot's answer to a missing or wrong token."""
    return _error(401, "INVALID_AUTHENTICATION", "Authentication credentials not found or not valid.")


def rate_limited(retry_after: int) -> Response:
    """HubSpot's answer past its ten-second limit."""
    body = _body("RATE_LIMITS", "You have reached your ten_secondly_rolling limit.")
    body |= {"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"}
    return JSONResponse(body, 429, headers={"Retry-After": str(retry_after)})


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """The routes of the vendor, over whatever world the sandbox is in."""
    crm = _Crm(get_world)
    objects = "/crm/v3/objects/{type}"
    return [
        Route(f"{objects}/search", _answer(crm.search), methods=["POST"]),
        Route(f"{objects}/batch/read", _answer(crm.batch_read), methods=["POST"]),
        Route(f"{objects}/merge", _answer(crm.merge), methods=["POST"]),
        Route(objects, _answer(crm.page), methods=["GET"]),
        Route(f"{objects}/{{id}}", _answer(crm.read), methods=["GET"]),
        Route(f"{objects}/{{id}}", _answer(crm.patch), methods=["PATCH"]),
        Route(f"{objects}/{{id}}", _answer(crm.archive), methods=["DELETE"]),
        Route("/crm/v4/associations/{from}/{to}/batch/read", _answer(crm.associations), methods=["POST"]),
        Route("/crm/v3/owners", _answer(crm.owners), methods=["GET"]),
        Route("/crm/v3/owners/", _answer(crm.owners), methods=["GET"]),
        Route("/crm/v3/pipelines/deals", _answer(crm.pipelines), methods=["GET"]),
    ]


class _Crm:
    """The handlers; each takes the world of the moment."""

    def __init__(self, get_world: Callable[[], World]) -> None:
        self._world = get_world
        self._sorted: dict[str, tuple[World, int, list[Any], list[int]]] = {}

    def _records(self, kind: str) -> tuple[list[Any], list[int]]:
        """Records of a type in id order, and the ids."""
        if kind not in records.TYPES:
            raise _RefusedError(404, "OBJECT_NOT_FOUND", f"Unable to infer object type from: {kind}")
        world = self._world()
        size = records.size_of(world, kind)
        cached = self._sorted.get(kind)
        if cached is None or cached[0] is not world or cached[1] != size:
            ordered = sorted(records.of_type(world, kind), key=lambda r: int(r.id))
            cached = (world, size, ordered, [int(r.id) for r in ordered])
            self._sorted[kind] = cached
        return cached[2], cached[3]

    def _one(self, kind: str, key: str) -> Any:
        ordered, ids = self._records(kind)
        place = bisect_right(ids, int(key)) - 1 if key.isdigit() else -1
        if place < 0 or ids[place] != int(key):
            raise _RefusedError(404, "OBJECT_NOT_FOUND", f"No {kind} with id {key}")
        return ordered[place]

    async def page(self, request: Request) -> Any:
        """A page of live (or archived) records, in id order."""
        query, kind = request.query_params, request.path_params["type"]
        history = _names(query.get("propertiesWithHistory"))
        limit = _number(query.get("limit", "10"), "limit")
        most = HISTORY_LIMIT if history else PAGE_LIMIT
        if limit > most:
            raise _RefusedError(400, "VALIDATION_ERROR", f"limit must be at most {most}")
        ordered, ids = self._records(kind)
        place = bisect_right(ids, _number(query["after"], "after")) if "after" in query else 0
        archived = query.get("archived") == "true"
        page: list[Any] = []
        while place < len(ordered) and len(page) <= limit:
            if (ordered[place].archived_at is not None) == archived:
                page.append(ordered[place])
            place += 1
        properties, linked = _names(query.get("properties")), _names(query.get("associations"))
        body = {"results": [self._render(kind, r, properties, history, linked) for r in page[:limit]]}
        if len(page) > limit:
            return body | _next(page[limit - 1].id, request)
        return body

    async def read(self, request: Request) -> Any:
        """One record."""
        kind, query = request.path_params["type"], request.query_params
        record = self._one(kind, request.path_params["id"])
        if (record.archived_at is not None) != (query.get("archived") == "true"):
            raise _RefusedError(404, "OBJECT_NOT_FOUND", f"No {kind} with id {record.id}")
        history, linked = _names(query.get("propertiesWithHistory")), _names(query.get("associations"))
        return self._render(kind, record, _names(query.get("properties")), history, linked)

    async def search(self, request: Request) -> Any:
        """Live records that match a filter; at most 10,000 can be paged through."""
        asked, kind = await _json(request), request.path_params["type"]
        limit = _number(asked.get("limit", 10), "limit")
        after = _number(asked.get("after") or 0, "after")
        if limit > SEARCH_LIMIT:
            raise _RefusedError(400, "VALIDATION_ERROR", f"limit must be at most {SEARCH_LIMIT}")
        if after + limit > SEARCH_CEILING:
            raise _RefusedError(
                400, "VALIDATION_ERROR", f"paging past {SEARCH_CEILING} results is not possible"
            )
        ordered, _ = self._records(kind)
        groups = asked.get("filterGroups") or []
        found = [r for r in ordered if r.archived_at is None and records.matches(kind, r, groups)]
        for sort in reversed(asked.get("sorts") or []):
            name = sort["propertyName"]
            found.sort(
                key=lambda r: records.rank(kind, r, name) or 0.0,
                reverse=sort.get("direction") == "DESCENDING",
            )
        page = found[after : after + limit]
        names = asked.get("properties") or []
        body = {"total": len(found), "results": [self._render(kind, r, names, [], []) for r in page]}
        if after + limit < len(found):
            body |= {"paging": {"next": {"after": str(after + limit)}}}
        return body

    async def batch_read(self, request: Request) -> Any:
        """Up to 100 records by id (50 with history)."""
        asked, kind = await _json(request), request.path_params["type"]
        history, inputs = asked.get("propertiesWithHistory") or [], asked.get("inputs") or []
        most = HISTORY_LIMIT if history else PAGE_LIMIT
        if len(inputs) > most:
            raise _RefusedError(400, "VALIDATION_ERROR", f"at most {most} inputs are allowed")
        archived = request.query_params.get("archived") == "true"
        found = [self._one(kind, str(i["id"])) for i in inputs]
        names = asked.get("properties") or []
        kept = [r for r in found if (r.archived_at is not None) == archived]
        return {"status": "COMPLETE", "results": [self._render(kind, r, names, history, []) for r in kept]}

    async def associations(self, request: Request) -> Any:
        """v4: what up to 1,000 records are associated with; ids that are none's are passed over."""
        here, there = request.path_params["from"], request.path_params["to"]
        inputs = (await _json(request)).get("inputs") or []
        if len(inputs) > ASSOCIATION_LIMIT:
            raise _RefusedError(400, "VALIDATION_ERROR", f"at most {ASSOCIATION_LIMIT} inputs are allowed")
        results = []
        for given in inputs:
            try:
                record = self._one(here, str(given["id"]))
            except _RefusedError:
                continue
            found = [] if record.archived_at is not None else links.of(here, record, there)
            live = [link for link in found if self._one(there, link.to_id).archived_at is None]
            if live:
                results.append({"from": {"id": str(given["id"])}, "to": [link.rendered() for link in live]})
        return {"status": "COMPLETE", "results": results}

    async def owners(self, request: Request) -> Any:
        """Owners with their teams."""
        limit = _number(request.query_params.get("limit", "100"), "limit")
        archived = request.query_params.get("archived") == "true"
        found = [o for o in self._world().crm.owners if o.is_active != archived]
        start = _number(request.query_params.get("after", "0"), "after")
        body = {"results": [records.owner(o) for o in found[start : start + limit]]}
        return body | _next(str(start + limit), request) if start + limit < len(found) else body

    async def pipelines(self, request: Request) -> Any:
        """Deal pipelines with their stages."""
        return {"results": records.pipelines(self._world())}

    async def patch(self, request: Request) -> Any:
        """Change properties of a record. The sandbox alone takes `?at=`, the time it happened."""
        kind = request.path_params["type"]
        record, world = self._one(kind, request.path_params["id"]), self._world()
        given = request.query_params.get("at")
        at = datetime.fromisoformat(given) if given else None
        unknown = records.change(world, kind, record, (await _json(request)).get("properties") or {}, at)
        if unknown:
            raise _RefusedError(
                400, "VALIDATION_ERROR", f"Property {unknown!r} does not exist or is read-only"
            )
        return self._render(kind, record, [], [], [])

    async def archive(self, request: Request) -> Any:
        """Put a record into the recycle bin; its modified date stays."""
        record = self._one(request.path_params["type"], request.path_params["id"])
        if record.archived_at is None:
            given = request.query_params.get("at")
            record.archived_at = (
                datetime.fromisoformat(given) if given else records.just_before(self._world())
            )
        return None

    async def merge(self, request: Request) -> Any:
        """Merge a company or contact into another of its type."""
        kind, given = request.path_params["type"], await _json(request)
        primary = self._one(kind, str(given.get("primaryObjectId")))
        other = self._one(kind, str(given.get("objectIdToMerge")))
        if kind not in ("companies", "contacts") or primary is other:
            raise _RefusedError(400, "VALIDATION_ERROR", f"these {kind} cannot be merged")
        records.merge(self._world(), kind, primary, other)
        return self._render(kind, primary, [], [], [])

    def _render(self, kind: str, record: Any, names: list[str], history: list[str], linked: list[str]) -> Any:
        body = records.rendered(kind, record, names, history)
        shown = {there: links.of(kind, record, there) for there in linked}
        found = {t: {"results": [k.rendered_v3() for k in ls]} for t, ls in shown.items() if ls}
        return body | {"associations": found} if found else body


def _answer(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            body = await handler(request)
        except _RefusedError as refused:
            return _error(refused.status, refused.category, refused.message)
        return Response(status_code=204) if body is None else JSONResponse(body)

    return answer


def _error(status: int, category: str, message: str) -> Response:
    return JSONResponse(_body(category, message), status)


def _body(category: str, message: str) -> dict[str, Any]:
    return {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.uuid5(uuid.NAMESPACE_URL, message)),
        "category": category,
    }


def _next(after: str, request: Request) -> dict[str, Any]:
    link = str(request.url.include_query_params(after=after))
    return {"paging": {"next": {"after": after, "link": link}}}


def _names(value: str | None) -> list[str]:
    return value.split(",") if value else []


def _number(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise _RefusedError(400, "VALIDATION_ERROR", f"{name} is not a number") from None


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _RefusedError(400, "VALIDATION_ERROR", "Invalid input JSON") from None
    return body if isinstance(body, dict) else {}
