"""Stripe's HTTP API over the sandbox company: the lists and objects the connector reads.

Bearer or Basic key, `Stripe-Version` picks the object shape, cursor paging (`limit` up to 100,
`starting_after`), `created[gt|gte|lt|lte]` filters, Stripe's error bodies. Customers can be edited
and deleted; every other write is left out on purpose: the simulator is what changes the company.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api.stripe_events import Event, events
from sandbox.api.stripe_index import BilledTo, Index, epoch
from sandbox.api.stripe_invoices import Shapes
from sandbox.api.stripe_shapes import CURRENT_VERSION, Json
from sandbox.world import Customer, World

#: Requests per seconds, as Stripe documents for live mode.
LIMIT = (100, 1)
KEY = "sandbox-stripe-key"
MAX_PAGE = 100

_VERSION = re.compile(r"^20\d\d-\d\d-\d\d(\.[a-z]+)?$")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def error(
    status: int, kind: str, message: str, code: str | None = None, param: str | None = None
) -> Response:
    """Stripe's error body."""
    body = {"type": kind, "message": message, "code": code, "param": param}
    return JSONResponse({"error": {k: v for k, v in body.items() if v is not None}}, status_code=status)


class _Invalid(Exception):
    """A request Stripe answers with 400 or 404."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400):
        super().__init__(message)
        self.response = error(status, "invalid_request_error", message, code, param)


def authorised(request: Request) -> bool:
    """The sandbox key, as Bearer token or as Basic user name."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return value == KEY


def unauthorised() -> Response:
    """Stripe's 401."""
    return error(401, "invalid_request_error", "Invalid API Key provided: sandbox-****")


def rate_limited(retry_after: float) -> Response:
    """Stripe's 429."""
    response = error(429, "invalid_request_error", "Request rate limit exceeded.", "rate_limit")
    response.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    response.headers["Stripe-Rate-Limited-Reason"] = "global-rate"
    return response


Row = tuple[datetime, str, Any]  # created, id, record


@dataclass(frozen=True)
class _Resource:
    """One list endpoint: its rows in creation order, and how a record is rendered."""

    name: str
    rows: Callable[[Index], Iterable[Row]]
    render: Callable[[Shapes, Any], Json]
    filters: tuple[str, ...] = ()


_RESOURCES = [
    _Resource(
        "customers",
        lambda ix: ((r.created_at, r.id, r) for r in ix.customers.values() if r.deleted_at is None),
        Shapes.customer,
        ("email",),
    ),
    _Resource("products", lambda ix: ((r.created_at, r.id, r) for r in ix.products.values()), Shapes.product),
    _Resource("prices", lambda ix: ((r.created_at, r.id, r) for r in ix.prices.values()), Shapes.price),
    _Resource("coupons", lambda ix: ((r.created_at, r.id, r) for r in ix.coupons.values()), Shapes.coupon),
    _Resource(
        "subscriptions",
        lambda ix: ((r.created_at, r.id, r) for r in ix.subscriptions.values()),
        Shapes.subscription,
        ("customer", "status"),
    ),
    _Resource(
        "invoices",
        lambda ix: ((r.created_at, r.id, r) for r in ix.invoices.values()),
        Shapes.invoice,
        ("customer", "status", "subscription"),
    ),
    _Resource(
        "charges",
        lambda ix: ((r.attempted_at, r.id, r) for r in ix.charges.values()),
        Shapes.charge,
        ("customer", "payment_intent"),
    ),
    _Resource("refunds", lambda ix: ((r.refunded_at, r.id, r) for r in ix.refunds.values()), Shapes.refund),
    _Resource(
        "credit_notes",
        lambda ix: ((r.issued_at, r.id, r) for r in ix.credit_notes.values()),
        Shapes.credit_note,
        ("customer", "invoice"),
    ),
]


def _page(rows: list[Row], query: list[tuple[str, str]], url: str, render: Callable[[Any], Json]) -> Json:
    """One page of a list: created filters, then the cursor, then the limit."""
    params = dict(query)
    limit_text = params.get("limit", "10")
    if not limit_text.isdigit() or not 1 <= int(limit_text) <= MAX_PAGE:
        raise _Invalid(f"Invalid limit: {limit_text} (1 to {MAX_PAGE})", "limit")
    limit = int(limit_text)
    for key, text in params.items():
        match = re.fullmatch(r"created(?:\[(\w+)\])?", key)
        if match is None:
            continue
        if not text.isdigit() or (match[1] or "gte") not in _COMPARE:
            raise _Invalid(f"Invalid timestamp: {key}={text}", key)
        bound = int(text)
        holds = _COMPARE[match[1]] if match[1] else int.__eq__
        rows = [row for row in rows if holds(epoch(row[0]) or 0, bound)]
    start = 0
    after = params.get("starting_after")
    if after is not None:
        at = next((i for i, row in enumerate(rows) if row[1] == after), None)
        if at is None:
            raise _Invalid(f"No such object: '{after}'", "starting_after", "resource_missing")
        start = at + 1
    chosen = rows[start : start + limit]
    return {
        "object": "list",
        "data": [render(record) for _, _, record in chosen],
        "has_more": start + limit < len(rows),
        "url": url,
    }


def _wanted(record: Any, key: str, value: str) -> bool:
    """Whether a record passes one of the plain filters."""
    if key == "status":
        if value == "all":
            return True
        return bool(record.status != "canceled" if value == "" else record.status == value)
    name = {
        "customer": "customer_id",
        "subscription": "subscription_id",
        "payment_intent": "payment_intent_id",
        "invoice": "invoice_id",
    }.get(key, key)
    return bool(getattr(record, name) == value)


class _Api:
    """The endpoints, over whatever world the server holds now."""

    def __init__(self, get_world: Callable[[], World]) -> None:
        self._get_world = get_world
        self._index: Index | None = None
        self._billed_to: BilledTo = {}
        self._sorted: dict[str, list[Row]] = {}

    def index(self) -> Index:
        """The present world's index; built anew when the world moved on."""
        world = self._get_world()
        if self._index is None or not self._index.is_fresh(world):
            self._index = Index(world, self._billed_to)
            self._sorted = {}
        return self._index

    def version(self, request: Request) -> str:
        """The API version asked for."""
        version = request.headers.get("stripe-version", CURRENT_VERSION)
        if not _VERSION.match(version):
            raise _Invalid(f"Invalid Stripe API version: {version}")
        return version

    def shapes(self, request: Request) -> Shapes:
        """A renderer for the version and expansions asked for."""
        expand = [v for k, v in request.query_params.multi_items() if re.fullmatch(r"expand\[\d*\]", k)]
        return Shapes(self.index(), self.version(request), expand)

    def rows(self, resource: _Resource) -> list[Row]:
        """A resource's rows, newest first; customers are filtered anew, as they can be deleted."""
        index = self.index()
        if resource.name == "customers" or resource.name not in self._sorted:
            ranked = enumerate(resource.rows(index))
            newest = sorted(ranked, key=lambda pair: (pair[1][0], pair[0]), reverse=True)
            self._sorted[resource.name] = [row for _, row in newest]
        return self._sorted[resource.name]

    def list(self, resource: _Resource, request: Request) -> Json:
        """GET /v1/<resource>."""
        query = request.query_params.multi_items()
        rows = self.rows(resource)
        asked = {key: value for key, value in query if key in resource.filters}
        if resource.name == "subscriptions":
            asked.setdefault("status", "")  # without it Stripe leaves cancelled ones out
        for key, value in asked.items():
            rows = [row for row in rows if _wanted(row[2], key, value)]
        shapes = self.shapes(request)
        return _page(rows, query, f"/v1/{resource.name}", lambda record: resource.render(shapes, record))

    def retrieve(self, resource: _Resource, request: Request) -> Json:
        """GET /v1/<resource>/{id}."""
        record = self.find(resource.name, request)
        if isinstance(record, Customer) and record.deleted_at is not None:
            return {"id": record.id, "object": "customer", "deleted": True}
        return resource.render(self.shapes(request), record)

    def find(self, collection: str, request: Request) -> Any:
        """The record the path names."""
        key = request.path_params["id"]
        record = getattr(self.index(), collection).get(key)
        if record is None:
            noun = collection.removesuffix("s").replace("_", " ")
            raise _Invalid(f"No such {noun}: '{key}'", "id", "resource_missing", 404)
        return record

    def lines(self, request: Request) -> Json:
        """GET /v1/invoices/{id}/lines: in the invoice's own order."""
        invoice, shapes = self.find("invoices", request), self.shapes(request)
        rows = [(invoice.created_at, line.id, line) for line in invoice.lines]
        url = f"/v1/invoices/{invoice.id}/lines"
        return _page(rows, request.query_params.multi_items(), url, lambda line: shapes.line(invoice, line))

    def invoice_payments(self, request: Request) -> Json:
        """GET /v1/invoice_payments (current versions only)."""
        shapes, index = self.shapes(request), self.index()
        if not shapes.current:
            raise _Invalid("Unrecognized request URL (GET: /v1/invoice_payments).", status=404)
        only = request.query_params.get("invoice")
        rows = [
            (invoice.created_at, body["id"], body)
            for invoice in reversed(index.invoices.values())
            if only in (None, invoice.id)
            for body in shapes.invoice_payments(invoice)
        ]
        return _page(rows, request.query_params.multi_items(), "/v1/invoice_payments", lambda body: body)

    def subscription_items(self, request: Request) -> Json:
        """GET /v1/subscription_items?subscription=sub_..."""
        key = request.query_params.get("subscription")
        record = self.index().subscriptions.get(key or "")
        if record is None:
            raise _Invalid(f"No such subscription: '{key}'", "subscription", "resource_missing", 404)
        items = self.shapes(request).items(record)
        rows = [(record.created_at, item["id"], item) for item in items]
        url = f"/v1/subscription_items?subscription={record.id}"
        return _page(rows, request.query_params.multi_items(), url, lambda item: item)

    def events(self, request: Request) -> Json:
        """GET /v1/events: the last 30 days."""
        query = request.query_params.multi_items()
        version, shapes = self.version(request), Shapes(self.index(), self.version(request))
        types = {value for key, value in query if key == "type" or re.fullmatch(r"types\[\d*\]", key)}
        rows: list[Row] = [
            (event.created, event.id, event)
            for event in events(self.index())
            if not types or event.type in types
        ]

        def render(event: Event) -> Json:
            return event.body(shapes, version)

        return _page(rows, query, "/v1/events", render)

    async def edit_customer(self, request: Request) -> Json:
        """POST /v1/customers/{id}: name, email, metadata[hubspot_company_id]."""
        record = self.live_customer(request)
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        fields = {"name": "name", "email": "email", "metadata[hubspot_company_id]": "crm_account_id"}
        unknown = sorted(set(form) - set(fields))
        if unknown:
            raise _Invalid(f"Received unknown parameter: {unknown[0]}", unknown[0], "parameter_unknown")
        for invoice in self.index().invoices.values():
            if invoice.customer_id == record.id and invoice.status != "draft":
                self._billed_to.setdefault(invoice.id, (record.name, record.email))
        for key, value in form.items():
            setattr(record, fields[key], value or None)
        record.updated_at = self.index().now - timedelta(seconds=1)
        return self.shapes(request).customer(record)

    async def delete_customer(self, request: Request) -> Json:
        """DELETE /v1/customers/{id}."""
        record = self.live_customer(request)
        record.deleted_at = record.updated_at = self.index().now - timedelta(seconds=1)
        return {"id": record.id, "object": "customer", "deleted": True}

    def live_customer(self, request: Request) -> Customer:
        """The customer the path names, if it is not deleted."""
        record: Customer = self.find("customers", request)
        if record.deleted_at is not None:
            raise _Invalid(f"No such customer: '{record.id}'", "id", "resource_missing", 404)
        return record


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """Stripe's paths, to be mounted by the sandbox server."""
    api = _Api(get_world)

    def get(path: str, answer: Callable[[Request], Json]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(answer(request))
            except _Invalid as problem:
                return problem.response

        return Route(path, endpoint, methods=["GET"])

    def write(method: Literal["POST", "DELETE"], path: str, act: Callable[[Request], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(await act(request))
            except _Invalid as problem:
                return problem.response

        return Route(path, endpoint, methods=[method])

    async def unknown(request: Request) -> Response:
        return error(
            404, "invalid_request_error", f"Unrecognized request URL ({request.method}: {request.url.path})."
        )

    found: list[BaseRoute] = [
        get("/v1/invoices/{id}/lines", api.lines),
        get("/v1/invoice_payments", api.invoice_payments),
        get("/v1/subscription_items", api.subscription_items),
        get("/v1/events", api.events),
        write("POST", "/v1/customers/{id}", api.edit_customer),
        write("DELETE", "/v1/customers/{id}", api.delete_customer),
    ]
    for resource in _RESOURCES:
        found.append(get(f"/v1/{resource.name}", partial(api.list, resource)))
        found.append(get(f"/v1/{resource.name}/{{id}}", partial(api.retrieve, resource)))
    found.append(Route("/v1/{path:path}", unknown, methods=["GET", "POST", "DELETE"]))
    return found
