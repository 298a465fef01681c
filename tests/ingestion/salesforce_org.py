"""A Salesforce organisation made of plain rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ingestion.salesforce_tables import OBJECTS
from sandbox.api import salesforce_soql as soql


def error(status: int, code: str, message: str = "it is so") -> Response:
    """Salesforce's way to refuse."""
    return JSONResponse([{"message": message, "errorCode": code}], status)


class Org:
    """An organisation that has these rows, by object, with the fields every organisation has and those of the
    rows.
    """

    def __init__(self, rows: dict[str, list[dict[str, Any]]], batch: int = 2000) -> None:
        self.rows, self.batch = rows, batch
        self.lists: dict[str, tuple[soql.Query, list[dict[str, Any]]]] = {}
        self.numbers = itertools.count()

    def app(self) -> Starlette:
        data = "/services/data/v62.0"
        return Starlette(
            routes=[
                Route("/services/oauth2/token", self.token, methods=["POST"]),
                Route(f"{data}/sobjects/{{name}}/describe", self.describe),
                Route(f"{data}/queryAll", self.query),
                Route(f"{data}/query/{{locator}}", self.more),
            ]
        )

    async def token(self, _: Request) -> Response:
        return JSONResponse({"access_token": "00D!x", "instance_url": "https://example.my.salesforce.com"})

    async def describe(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.rows:
            return error(404, "NOT_FOUND", "The requested resource does not exist")
        its = next(its for its in OBJECTS.values() if its.name == name)
        names = [field for field in its.fields if field not in its.optional]
        names += dict.fromkeys(field for row in self.rows[name] for field in row)
        shown = [f"{name.split('.')[0]}Id" if "." in name else name for name in names]
        return JSONResponse({"fields": [{"name": name} for name in dict.fromkeys(shown)]})

    async def query(self, request: Request) -> Response:
        query = soql.read(request.query_params["q"])
        found = [row for row in self.rows[query.object] if query.holds(_values(row))]
        if not query.fields:
            return JSONResponse({"totalSize": len(found), "done": True, "records": []})
        if query.order:
            found.sort(key=itemgetter(query.order), reverse=query.descending)
        key = f"01g{next(self.numbers)}"
        self.lists[key] = (query, found[: query.limit])
        return self._page(key, 0)

    async def more(self, request: Request) -> Response:
        key, _, start = request.path_params["locator"].rpartition("-")
        return self._page(key, int(start))

    def _page(self, key: str, start: int) -> Response:
        query, found = self.lists[key]
        end = start + self.batch
        page = [self._shown(query, row) for row in found[start:end]]
        body: dict[str, Any] = {"totalSize": len(found), "done": end >= len(found), "records": page}
        if end < len(found):
            body["nextRecordsUrl"] = f"/services/data/v62.0/query/{key}-{end}"
        return JSONResponse(body)

    def _shown(self, query: soql.Query, row: dict[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {"attributes": {"type": query.object}}
        for name in query.fields:
            relation, _, of_it = name.rpartition(".")
            if relation:
                body[relation] = {of_it: row[name]} if row.get(name) is not None else None
            else:
                body[name] = row.get(name)
        return body


def _values(row: dict[str, Any]) -> Callable[[str], Any]:
    """A row's values as SOQL compares them."""

    def value_of(field: str) -> Any:
        value = row.get(field)
        if isinstance(value, str) and value.endswith("+0000"):
            return datetime.fromisoformat(value)
        return value

    return value_of
