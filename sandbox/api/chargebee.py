"""Chargebee's HTTP API v2 over the sandbox company: the lists and records the connector reads.

Basic key as user name, `{"list": [{"customer": {...}}], "next_offset": ...}` pages of at most 100, offsets
that name the last record of a page, `attribute[operator]` filters, `sort_by[asc|desc]`, `include_deleted`,
error bodies as documented. Customers can be edited and deleted, subscriptions and invoices deleted; every
other write is left out on purpose: the simulator is what changes the company.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api.chargebee_documents import MOST_LINES, Shapes
from sandbox.api.chargebee_index import Document, Index
from sandbox.api.chargebee_shapes import Json
from sandbox.world import Customer, World

#: Requests per seconds, as Chargebee documents for test sites and its smallest plan.
LIMIT = (150, 60)
KEY = "sandbox-chargebee-key"
MAX_PAGE = 100

_COMPARE: dict[str, Callable[[int, list[int]], bool]] = {
    "after": lambda value, bounds: value > bounds[0],
    "before": lambda value, bounds: value < bounds[0],
    "on": lambda value, bounds: value // 86400 == bounds[0] // 86400,
    "between": lambda value, bounds: bounds[0] <= value <= bounds[1],
}


def error(
    status: int, code: str, message: str, kind: str | None = None, param: str | None = None
) -> Response:
    """Chargebee's error body."""
    body = {
        "message": message,
        "type": kind,
        "api_error_code": code,
        "param": param,
        "error_code": code,
        "error_msg": message,
        "http_status_code": status,
    }
    return JSONResponse({k: v for k, v in body.items() if v is not None}, status_code=status)


class _Invalid(Exception):
    """A request Chargebee answers with 400 or 404."""

    def __init__(
        self, message: str, param: str | None = None, code: str = "param_wrong_value", status: int = 400
    ):
        super().__init__(message)
        self.response = error(status, code, message, "invalid_request", param)


def authorised(request: Request) -> bool:
    """The sandbox key, as Basic user name without a password."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        return scheme.lower() == "basic" and base64.b64decode(value).decode() == f"{KEY}:"
    except (binascii.Error, UnicodeDecodeError):
        return False


def unauthorised() -> Response:
    """Chargebee's 401."""
    return error(401, "api_authentication_failed", "Sorry, authentication failed. Invalid api key")


def rate_limited(retry_after: float) -> Response:
    """Chargebee's 429."""
    message = "Sorry, access has been blocked temporarily due to request count exceeding acceptable limits."
    response = error(429, "api_request_limit_exceeded", message, "operation_failed")
    response.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    return response


@dataclass(frozen=True)
class _Resource:
    """One kind of record: where it is, how it is rendered, what its list sorts by (the first by default)."""

    name: str
    records: Callable[[Index], Iterable[tuple[str, Any]]]
    render: Callable[[Shapes, Any], Json]
    sorts: tuple[str, ...] = ("created_at", "updated_at")
    filters: tuple[str, ...] = ("id", "updated_at")
    has_deleted: bool = True


_RESOURCES = [
    _Resource(
        "customer",
        lambda ix: ix.customers.items(),
        Shapes.customer,
        filters=("id", "email", "company", "created_at", "updated_at"),
    ),
    _Resource(
        "item",
        lambda ix: ix.products.items(),
        Shapes.item,
        ("id", "name", "updated_at"),
        ("id", "name", "type", "status", "updated_at"),
        has_deleted=False,
    ),
    _Resource(
        "item_price",
        lambda ix: ix.prices.items(),
        Shapes.item_price,
        ("id", "name", "updated_at"),
        ("id", "name", "item_id", "item_type", "currency_code", "status", "updated_at"),
        has_deleted=False,
    ),
    _Resource(
        "coupon",
        lambda ix: ix.coupons.items(),
        Shapes.coupon,
        ("created_at",),
        ("id", "name", "status", "created_at", "updated_at"),
        has_deleted=False,
    ),
    _Resource(
        "subscription",
        lambda ix: ix.subscriptions.items(),
        Shapes.subscription,
        filters=("id", "customer_id", "status", "created_at", "cancelled_at", "updated_at"),
    ),
    _Resource(
        "invoice",
        lambda ix: ix.documents.items(),
        Shapes.invoice,
        ("date", "updated_at"),
        ("id", "customer_id", "subscription_id", "status", "date", "paid_at", "updated_at", "dunning_status"),
    ),
    _Resource(
        "credit_note",
        lambda ix: [*ix.credits.items(), *ix.credit_notes.items()],
        Shapes.credit_note,
        ("date",),
        ("id", "customer_id", "subscription_id", "reference_invoice_id", "reason_code", "date", "updated_at"),
    ),
    _Resource(
        "transaction",
        lambda ix: [*ix.charges.items(), *ix.refunds.items()],
        Shapes.transaction,
        ("date", "updated_at"),
        ("id", "customer_id", "subscription_id", "type", "status", "date", "updated_at"),
    ),
]


def _passes(body: Json, name: str, operator: str, text: str) -> bool:
    """Whether a record passes one filter."""
    value = body.get(name)
    if operator in ("is", "is_not"):
        return (str(value) == text) == (operator == "is")
    if operator in ("in", "not_in"):
        listed = [one.strip().strip('"') for one in text.strip("[]").split(",")]
        return (str(value) in listed) == (operator == "in")
    bounds = [one.strip().strip('"') for one in text.strip("[]").split(",")]
    if operator not in _COMPARE or not all(bound.isdigit() for bound in bounds):
        raise _Invalid(f"{name}[{operator}] : invalid filter", name)
    return value is not None and _COMPARE[operator](value, [int(bound) for bound in bounds])


class _Api:
    """The endpoints, over whatever world the server holds now."""

    def __init__(self, get_world: Callable[[], World]) -> None:
        self._get_world = get_world
        self._index: Index | None = None
        self._deleted: dict[str, datetime] = {}
        self._told: dict[tuple[str, str], tuple[list[Any], Json]] = {}

    def index(self) -> Index:
        """The present world's index; built anew when the world moved on."""
        world = self._get_world()
        if self._index is None or not self._index.is_fresh(world):
            self._index = Index(world)
            self._told = {}
        return self._index

    def shapes(self) -> Shapes:
        """A renderer of the present world."""
        return Shapes(self.index(), self._deleted)

    def bodies(self, resource: _Resource) -> list[Json]:
        """All records of a kind. What has not changed since it was last told is not rendered again."""
        shapes, found = self.shapes(), []
        for key, record in resource.records(shapes.index):
            state = vars(record.invoice if isinstance(record, Document) else record).values()
            now = [list(value) if isinstance(value, list) else value for value in state]
            now.append(self._deleted.get(key))
            told = self._told.get((resource.name, key))
            if told is None or told[0] != now:
                told = self._told[resource.name, key] = (now, resource.render(shapes, record))
            found.append(told[1])
        return found

    def list(self, resource: _Resource, request: Request) -> Json:
        """GET /api/v2/<resources>: filters, then the order, then the page after the offset."""
        query = dict(request.query_params)
        limit_text, offset = query.pop("limit", "10"), query.pop("offset", None)
        if not limit_text.isdigit() or not 1 <= int(limit_text) <= MAX_PAGE:
            raise _Invalid(f"limit : value should be between 1 and {MAX_PAGE}", "limit")
        with_deleted = query.pop("include_deleted", "false") == "true" and resource.has_deleted
        sort, descending = resource.sorts[0], True
        for key in [key for key in query if key.startswith("sort_by")]:
            order, sort = key.removeprefix("sort_by").strip("[]"), query.pop(key)
            if sort not in resource.sorts or order not in ("asc", "desc"):
                raise _Invalid(f"sort_by : cannot sort by {sort}", "sort_by")
            descending = order == "desc"
        bodies = self.bodies(resource)
        if not with_deleted:
            bodies = [body for body in bodies if not body["deleted"]]
        for key, text in query.items():
            match = re.fullmatch(r"(\w+)\[(\w+)\]", key)
            if match is None or match[1] not in resource.filters:
                raise _Invalid(f"{key} : unknown parameter", key)
            bodies = [body for body in bodies if _passes(body, match[1], match[2], text)]
        place = partial(_place, sort)
        bodies.sort(key=place, reverse=descending)
        if offset is not None:
            after = _offset(offset)
            bodies = [b for b in bodies if (place(b) < after if descending else place(b) > after)]
        page = bodies[: int(limit_text)]
        answer: Json = {"list": [{resource.name: body} for body in page]}
        if len(bodies) > len(page):
            answer["next_offset"] = json.dumps(list(place(page[-1])))
        return answer

    def retrieve(self, resource: _Resource, request: Request) -> Json:
        """GET /api/v2/<resources>/{id}."""
        record = self.find(resource, request)
        if resource.name != "invoice":
            return {resource.name: resource.render(self.shapes(), record)}
        limit = request.query_params.get("line_items_limit", str(MAX_PAGE))
        if not limit.isdigit() or not 1 <= int(limit) <= MOST_LINES:
            raise _Invalid(
                f"line_items_limit : value should be between 1 and {MOST_LINES}", "line_items_limit"
            )
        first = re.fullmatch(r'\["(\d+)"\]', request.query_params.get("line_items_offset", '["0"]'))
        if first is None:
            raise _Invalid("line_items_offset : invalid value", "line_items_offset")
        return {"invoice": self.shapes().invoice(record, int(first[1]), int(limit))}

    def find(self, resource: _Resource, request: Request) -> Any:
        """The record the path names."""
        key = request.path_params["id"]
        record = dict(resource.records(self.index())).get(key)
        if record is None:
            raise _Invalid(f"{key} not found", "id", "resource_not_found", 404)
        return record

    async def edit_customer(self, resource: _Resource, request: Request) -> Json:
        """POST /api/v2/customers/{id}: company, email, vat_number, cf_crm_account_id."""
        record: Customer = self.find(resource, request)
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        fields = {
            "company": "name",
            "email": "email",
            "vat_number": "tax_id",
            "cf_crm_account_id": "crm_account_id",
        }
        unknown = sorted(set(form) - set(fields))
        if unknown or record.deleted_at is not None:
            raise _Invalid(f"{(unknown or ['id'])[0]} : cannot be set", (unknown or ["id"])[0])
        for key, value in form.items():
            setattr(record, fields[key], value or None)
        record.updated_at = self.index().now - timedelta(seconds=1)
        return {"customer": self.shapes().customer(record)}

    async def delete(self, resource: _Resource, request: Request) -> Json:
        """POST /api/v2/<resources>/{id}/delete."""
        record, at = self.find(resource, request), self.index().now - timedelta(seconds=1)
        if isinstance(record, Customer):
            record.deleted_at = record.updated_at = at
        else:
            self._deleted[request.path_params["id"]] = at
        return {resource.name: resource.render(self.shapes(), record)}


def _place(sort: str, body: Json) -> tuple[str, str]:
    """Where a record stands; numbers as text of one width."""
    value = body.get(sort, 0)
    return (f"{value * 1000:015}" if isinstance(value, int) else str(value)), body["id"]


def _offset(text: str) -> tuple[str, str]:
    try:
        value, key = json.loads(text)
    except (ValueError, TypeError):
        raise _Invalid("offset : invalid value", "offset") from None
    return str(value), str(key)


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """Chargebee's paths, to be mounted by the sandbox server."""
    api = _Api(get_world)

    def get(path: str, answer: Callable[[Request], Json]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(answer(request))
            except _Invalid as problem:
                return problem.response

        return Route(path, endpoint, methods=["GET"])

    def post(path: str, act: Callable[[Request], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(await act(request))
            except _Invalid as problem:
                return problem.response

        return Route(path, endpoint, methods=["POST"])

    async def unknown(request: Request) -> Response:
        return error(404, "resource_not_found", f"Sorry, there is no {request.url.path}", "invalid_request")

    found: list[BaseRoute] = []
    for resource in _RESOURCES:
        path = f"/api/v2/{resource.name}s"
        found.append(get(path, partial(api.list, resource)))
        found.append(get(f"{path}/{{id}}", partial(api.retrieve, resource)))
        if resource.name == "customer":
            found.append(post(f"{path}/{{id}}", partial(api.edit_customer, resource)))
        if resource.name in ("customer", "subscription", "invoice"):
            found.append(post(f"{path}/{{id}}/delete", partial(api.delete, resource)))
    found.append(Route("/api/{path:path}", unknown, methods=["GET", "POST"]))
    return found
