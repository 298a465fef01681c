"""The sandbox company's CRM, served as Salesforce's REST API.

Log-in by client credentials or refresh token, describe, SOQL with query locators, batches of 200 to 2,000
records, deleted records by `queryAll`, history and error bodies are Salesforce's as documented. Records come
from `World.crm`, and changes by PATCH, DELETE and POST (of contact roles) go back into it; the sandbox alone
takes `?at=`, the time a change happened.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api import salesforce_objects as objects
from sandbox.api import salesforce_soql as soql
from sandbox.world import World

#: Requests of an organisation of the Enterprise Edition in 24 hours.
LIMIT = (100_000, 86_400)
CLIENT_ID = "sandbox-salesforce-client-id"
CLIENT_SECRET = "sandbox-salesforce-client-secret"
REFRESH_TOKEN = "sandbox-salesforce-refresh-token"
SESSION = "00DSandbox!session"

TOKEN_PATH = "/services/oauth2/token"
#: Fewest and most records of an answer; a query asks by a header.
BATCH = (200, 2000)
#: Query locators that a user can have open.
OPEN_LOCATORS = 10


class _RefusedError(Exception):
    """A request Salesforce answers with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def authorised(request: Request) -> bool:
    """Whether the request carries a session; logging in needs none."""
    return (
        request.url.path.endswith(TOKEN_PATH) or request.headers.get("authorization") == f"Bearer {SESSION}"
    )


def unauthorised() -> Response:
    """Salesforce's answer to a missing or expired session."""
    return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")


def rate_limited(retry_after: int) -> Response:
    """Salesforce's answer to too many requests, at once or in 24 hours; it does not say when to come back."""
    which = "ConcurrentRequests (Concurrent API Requests)" if retry_after < 3600 else "TotalRequests"
    return _error(403, "REQUEST_LIMIT_EXCEEDED", f"{which} Limit exceeded.")


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """The routes of the vendor, over whatever world the sandbox is in."""
    crm = _Organisation(get_world)
    data = "/services/data/v{version}"
    record = f"{data}/sobjects/{{object}}/{{id}}"
    return [
        Route(TOKEN_PATH, _token, methods=["POST"]),
        Route(f"{data}/query", _answer(crm.query), methods=["GET"]),
        Route(f"{data}/queryAll", _answer(crm.query_all), methods=["GET"]),
        Route(f"{data}/query/{{locator}}", _answer(crm.more), methods=["GET"]),
        Route(f"{data}/queryAll/{{locator}}", _answer(crm.more), methods=["GET"]),
        Route(f"{data}/sobjects/{{object}}/describe", _answer(crm.describe), methods=["GET"]),
        Route(f"{data}/sobjects/{{object}}", _answer(crm.create), methods=["POST"]),
        Route(record, _answer(crm.read), methods=["GET"]),
        Route(record, _answer(crm.patch), methods=["PATCH"]),
        Route(record, _answer(crm.delete), methods=["DELETE"]),
    ]


async def _token(request: Request) -> Response:
    """Log in."""
    given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    grant = given.get("grant_type")
    if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
        return JSONResponse(
            {"error": "invalid_client", "error_description": "invalid client credentials"}, 400
        )
    if grant == "refresh_token" and given.get("refresh_token") != REFRESH_TOKEN:
        body = {"error": "invalid_grant", "error_description": "expired access/refresh token"}
        return JSONResponse(body, 400)
    if grant not in ("client_credentials", "refresh_token"):
        body = {"error": "unsupported_grant_type", "error_description": "grant type not supported"}
        return JSONResponse(body, 400)
    address = str(request.base_url).rstrip("/")
    body = {
        "access_token": SESSION,
        "signature": "c2lnbmF0dXJl",
        "scope": "api",
        "instance_url": address,
        "id": f"{address}/id/00DSandbox/005Sandbox",
        "token_type": "Bearer",
        "issued_at": "1700000000000",
    }
    return JSONResponse(body)


class _Organisation:
    """The handlers; each takes the world of the moment."""

    def __init__(self, get_world: Callable[[], World]) -> None:
        self._world = get_world
        self._roles: objects.View | None = None
        self._locators: OrderedDict[str, tuple[soql.Query, list[Any]]] = OrderedDict()
        self._numbers = count(1)

    def _view(self) -> objects.View:
        """The world as it is now; role changes are of the world they were made in."""
        world, before = self._world(), self._roles
        kept = (before.added, before.removed) if before and before.world is world else ({}, {})
        self._roles = objects.View(world, *kept)
        return self._roles

    async def query(self, request: Request) -> Any:
        """The first batch of a query, without deleted records."""
        return self._answered(request, deleted=False)

    async def query_all(self, request: Request) -> Any:
        """The first batch of a query, with deleted records."""
        return self._answered(request, deleted=True)

    def _answered(self, request: Request, deleted: bool) -> Any:
        try:
            query = soql.read(request.query_params.get("q", ""))
        except soql.MalformedError as exc:
            raise _RefusedError(400, "MALFORMED_QUERY", str(exc)) from exc
        fields = objects.FIELDS.get(query.object)
        if fields is None:
            message = f"sObject type '{query.object}' is not supported."
            raise _RefusedError(400, "INVALID_TYPE", f"\nFROM {query.object}\n^\nERROR at Row:1\n{message}")
        for name in query.named():
            if name not in fields:
                message = (
                    f"No such column '{name}' on entity '{query.object}'. If you are attempting to use a"
                )
                message += " custom field, be sure to append the '__c' after the custom field name."
                raise _RefusedError(400, "INVALID_FIELD", f"\nSELECT {name}\n^\nERROR at Row:1\n{message}")
        view = self._view()
        found = [
            record
            for record in objects.records(view, query.object)
            if query.holds(lambda name, record=record: fields[name].value(view, record))  # type: ignore[misc]
            and (deleted or "IsDeleted" not in fields or not fields["IsDeleted"].value(view, record))
        ]
        if not query.fields:
            return {"totalSize": len(found), "done": True, "records": []}
        if query.order:
            order = fields[query.order]
            found.sort(key=lambda record: order.value(view, record), reverse=query.descending)
        return self._batch(request, query, found[: query.limit], 0, None)

    async def more(self, request: Request) -> Any:
        """A further batch of a query."""
        key, _, start = request.path_params["locator"].rpartition("-")
        if key not in self._locators or not start.isdigit():
            raise _RefusedError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        query, found = self._locators[key]
        return self._batch(request, query, found, int(start), key)

    def _batch(
        self, request: Request, query: soql.Query, found: list[Any], start: int, locator: str | None
    ) -> Any:
        """Which records are in a list is decided at first; what they hold when they are read."""
        asked = re.search(r"batchSize=(\d+)", request.headers.get("sforce-query-options", ""))
        size = min(max(int(asked[1]) if asked else BATCH[1], BATCH[0]), BATCH[1])
        view = self._view()
        page = [objects.shown(view, query.object, r, query.fields) for r in found[start : start + size]]
        body = {"totalSize": len(found), "done": start + size >= len(found), "records": page}
        if not body["done"]:
            if locator is None:
                locator = f"01g{next(self._numbers):012d}"
                self._locators[locator] = (query, found)
                if len(self._locators) > OPEN_LOCATORS:
                    self._locators.popitem(last=False)
            version = request.path_params["version"]
            body["nextRecordsUrl"] = f"/services/data/v{version}/query/{locator}-{start + size}"
        return body

    async def describe(self, request: Request) -> Any:
        """An object's fields."""
        name = request.path_params["object"]
        fields = [
            {"name": key, "type": known.kind, "custom": key.endswith("__c"), "updateable": bool(known.sets)}
            for key, known in self._fields(name).items()
            if "." not in key
        ]
        fields += [
            {"name": key.split(".")[0] + "Id", "type": "reference", "custom": False, "updateable": False}
            for key in self._fields(name)
            if "." in key and key.split(".")[0] + "Id" not in self._fields(name)
        ]
        return {"name": name, "queryable": True, "fields": fields}

    async def read(self, request: Request) -> Any:
        """One record, with all its fields."""
        name = request.path_params["object"]
        return objects.shown(self._view(), name, self._one(request), list(self._fields(name)))

    async def patch(self, request: Request) -> Any:
        """Change fields of a record."""
        name, record = request.path_params["object"], self._one(request)
        values = await _json(request)
        for key in values:
            known = self._fields(name).get(key)
            if known is None:
                message = f"No such column '{key}' on sobject of type {name}"
                raise _RefusedError(400, "INVALID_FIELD", message)
            if known.sets is None:
                message = f"Unable to create/update fields: {key}. Please check the security settings"
                raise _RefusedError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message)
        objects.change(self._view(), name, record, values, _moment(request))

    async def delete(self, request: Request) -> Any:
        """Put a record into the recycle bin."""
        record, view = self._one(request), self._view()
        when = _moment(request) or view.world.now - timedelta(seconds=1)
        if isinstance(record, objects.Role):
            record.deal.contact_ids.remove(record.contact_id)
            view.removed[record.deal.id, record.contact_id] = when
        else:
            record.archived_at = when

    async def create(self, request: Request) -> Any:
        """Put a contact on an opportunity; the sandbox creates nothing else."""
        given, view = await _json(request), self._view()
        deal = next((d for d in view.world.crm.deals if d.id == given.get("OpportunityId")), None)
        if request.path_params["object"] != "OpportunityContactRole" or deal is None:
            raise _RefusedError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        deal.contact_ids.append(str(given["ContactId"]))
        when = _moment(request) or view.world.now - timedelta(seconds=1)
        view.added[deal.id, str(given["ContactId"])] = when
        role = objects.Role(deal, str(given["ContactId"]), False, when, when)
        return {"id": role.id, "success": True, "errors": []}

    def _fields(self, name: str) -> dict[str, objects.Field]:
        if name not in objects.FIELDS:
            raise _RefusedError(404, "NOT_FOUND", "The requested resource does not exist")
        return objects.FIELDS[name]

    def _one(self, request: Request) -> Any:
        name, key = request.path_params["object"], request.path_params["id"]
        its, view = self._fields(name), self._view()
        for record in objects.records(view, name):
            if its["Id"].value(view, record) == key:
                if "IsDeleted" in its and its["IsDeleted"].value(view, record):
                    raise _RefusedError(404, "ENTITY_IS_DELETED", "entity is deleted")
                return record
        raise _RefusedError(
            404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible"
        )


def _answer(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            body = await handler(request)
        except _RefusedError as refused:
            return _error(refused.status, refused.code, refused.message)
        if body is None:
            return Response(status_code=204)
        return JSONResponse(body, 201 if request.method == "POST" else 200)

    return answer


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse([{"message": message, "errorCode": code}], status)


def _moment(request: Request) -> datetime | None:
    given = request.query_params.get("at")
    return datetime.fromisoformat(given) if given else None


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _RefusedError(400, "JSON_PARSER_ERROR", "the body is not JSON") from None
    return body if isinstance(body, dict) else {}
