"""Mailshake's HTTP API (2017-04-01) over the sandbox company: the lists and activity the connector reads.

Key as `apiKey` in the query or as Basic user name, GET or POST, `nextToken` paging (`perPage` up to 100),
newest first, Mailshake's error bodies. Left out on purpose: keys in a POST body, OAuth, and every write; the
simulator is what changes the company. Mailshake limits quota units per hour by plan; here a request is one.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api import mailshake_shapes as shapes
from sandbox.api.mailshake_shapes import Index, Json
from sandbox.world import World

VERSION = "2017-04-01"
KEY = "sandbox-mailshake-key"
#: Requests per seconds: ten units a second, counted by the hour.
LIMIT = (36_000, 3600)
MAX_PAGE = 100


class _Refused(Exception):
    """A request Mailshake answers with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = error(status, code, message)


def error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Mailshake's error body."""
    body = {"code": code, "error": message, "time": shapes.moment(datetime.now().astimezone())}
    return JSONResponse(body, status_code=status, headers=headers)


def authorised(request: Request) -> bool:
    """The sandbox key, in the query or as Basic user name."""
    if "apiKey" in request.query_params:
        return request.query_params["apiKey"] == KEY
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        return base64.b64decode(value).decode().partition(":")[0] == KEY
    except (binascii.Error, UnicodeDecodeError):
        return False


def unauthorised() -> Response:
    """Mailshake's answer to a missing or wrong key."""
    return error(401, "invalid_api_key", "The API key you provided us was either missing or invalid.")


def rate_limited(retry_after: float) -> Response:
    """Mailshake's answer when the quota units are used up."""
    again = shapes.moment(datetime.now().astimezone() + timedelta(seconds=retry_after))
    message = f"You've hit your API limit. Please wait and try again after: {again}"
    return error(429, "limit_reached", message, {"Retry-After": str(max(1, round(retry_after)))})


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """Every path, with its version."""
    kept: list[Index] = []

    def index() -> Index:
        world = get_world()
        if not kept or not kept[0].fits(world):
            kept[:] = [Index(world)]
        return kept[0]

    def route(path: str, answer: Callable[[Index, Json], Json]) -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(answer(index(), await _parameters(request)))
            except _Refused as refused:
                return refused.response

        return Route(f"/{VERSION}/{path}", endpoint, methods=["GET", "POST"])

    return [
        route("me", lambda index, given: {"user": index.member(index.world.email.team[0])}),
        route("team/list-members", _team),
        route("campaigns/list", _campaigns),
        route("campaigns/get", _campaign),
        route("recipients/list", _recipients),
        route("leads/list", _leads),
        route("activity/sent", _activity("sent")),
        route("activity/opens", _activity("open")),
        route("activity/clicks", _activity("click")),
        route("activity/replies", _activity("reply")),
        route("activity/created-leads", _created_leads),
        route("activity/lead-status-changes", _changed_leads),
    ]


async def _parameters(request: Request) -> Json:
    """Parameters of the query, a form or a JSON body alike."""
    given: Json = dict(request.query_params)
    if request.method == "POST" and await request.body():
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                given |= await request.json()
            except ValueError:
                raise _Refused(400, "invalid_parameter", "The request body is not valid JSON.") from None
        else:
            given |= dict(await request.form())
    return given


def _page(
    given: Json, rows: Sequence[Any], at: Callable[[Any], datetime], shape: Callable[[Any], Json]
) -> Json:
    """One page of rows, newest first. The token names the last row given, so that new rows shift nothing."""
    size = _number(given, "perPage", MAX_PAGE)
    if not 1 <= size <= MAX_PAGE:
        raise _Refused(400, "invalid_parameter", f"perPage must be between 1 and {MAX_PAGE}.")
    after = _after(given.get("nextToken"))
    start = 0 if after is None else bisect_left(rows, True, key=lambda row: (at(row), int(row.id)) < after)
    page = rows[start : start + size]
    more = start + size < len(rows)
    return {
        "nextToken": _token(at(page[-1]), page[-1].id) if more else None,
        "results": [shape(row) for row in page],
    }


def _token(at: datetime, key: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{key}".encode()).decode()


def _after(token: str | None) -> tuple[datetime, int] | None:
    if not token:
        return None
    try:
        at, _, key = base64.urlsafe_b64decode(token).decode().partition("|")
        return datetime.fromisoformat(at), int(key)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _Refused(400, "invalid_parameter", "nextToken is invalid.") from None


def _number(given: Json, name: str, default: int | None = None) -> int:
    value = given.get(name, default)
    if value is None or value == "":
        raise _Refused(400, "missing_parameter", f"Missing parameter: {name}")
    try:
        return int(value)
    except (TypeError, ValueError):
        raise _Refused(400, "invalid_parameter", f"{name} must be a number.") from None


def _team(index: Index, given: Json) -> Json:
    return _page(given, index.team, lambda member: member.created_at, index.member)


def _campaigns(index: Index, given: Json) -> Json:
    search = str(given.get("search", "")).lower()
    rows = [campaign for campaign in index.campaigns if search in campaign.name.lower()]
    return _page(given, rows, lambda campaign: campaign.created_at, index.campaign)


def _campaign(index: Index, given: Json) -> Json:
    return index.campaign(index.campaign_by_id[_known_campaign(index, given)])


def _recipients(index: Index, given: Json) -> Json:
    rows = index.recipients[_known_campaign(index, given)]
    return _page(given, rows, lambda recipient: recipient.added_at, index.recipient)


def _leads(index: Index, given: Json) -> Json:
    rows = [lead for lead in index.leads if given.get("status") in (None, "", lead.status)]
    return _page(given, _of_campaign(given, rows), lambda lead: lead.created_at, index.lead)


def _created_leads(index: Index, given: Json) -> Json:
    return _page(given, _of_campaign(given, index.leads), lambda lead: lead.created_at, index.lead)


def _changed_leads(index: Index, given: Json) -> Json:
    changed = [lead for lead in index.leads if lead.updated_at > lead.created_at]
    rows = sorted(changed, key=lambda lead: (lead.updated_at, int(lead.id)), reverse=True)
    return _page(given, _of_campaign(given, rows), lambda lead: lead.updated_at, index.lead)


def _activity(kind: str) -> Callable[[Index, Json], Json]:
    def answer(index: Index, given: Json) -> Json:
        rows = _of_campaign(given, index.activity[kind])
        wanted = given.get("replyType", "any")
        if kind == "reply" and wanted != "any":
            rows = [event for event in rows if shapes.reply_type(event) == wanted]
        return _page(given, rows, lambda event: event.occurred_at, index.event)

    return answer


def _of_campaign(given: Json, rows: list[Any]) -> list[Any]:
    if not given.get("campaignID"):
        return rows
    key = str(_number(given, "campaignID"))
    return [row for row in rows if row.campaign_id == key]


def _known_campaign(index: Index, given: Json) -> str:
    key = str(_number(given, "campaignID"))
    if key not in index.campaign_by_id:
        message = "The campaign was not found, or you don't have permission."
        raise _Refused(404, "missing_dependent_data", message)
    return key
