"""Mailchimp's Marketing API 3.0 over the sandbox company: the lists and reports that the connector reads.

Key as Basic password under any user name or as Bearer, `count` (10, at most 1000) and `offset` paging
with `total_items`, `fields` and `exclude_fields`, the `since` and `before` filters, problem details for
errors. A contact can be archived and deleted for good. Left out on purpose: every other write; the
simulator is what changes the company. Mailchimp allows 10 connections at a time, whatever they ask; here the
bound is on requests a second.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.api import mailchimp_shapes as shapes
from sandbox.api.mailchimp_shapes import Index, Json, Letter
from sandbox.world import EmailEvent, Recipient, World

VERSION = "3.0"
KEY = "sandbox-mailchimp-key"
#: Requests per seconds.
LIMIT = (2000, 1)
PAGE, MAX_PAGE = 10, 1000

Archived = dict[str, datetime]
Answer = Callable[[Index, Request], Any]


class _Refused(Exception):
    """A request Mailchimp answers with a problem."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.response = problem(status, title, detail)


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Mailchimp's error body (RFC 7807)."""
    body = {
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "00000000-0000-0000-0000-000000000000",
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def authorised(request: Request) -> bool:
    """The sandbox key, as Basic password or as Bearer."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value == KEY
    if scheme.lower() != "basic":
        return False
    try:
        return base64.b64decode(value).decode().partition(":")[2] == KEY
    except (binascii.Error, UnicodeDecodeError):
        return False


def unauthorised() -> Response:
    """Mailchimp's answer to a missing or wrong key."""
    detail = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
    return problem(401, "API Key Invalid", detail)


def rate_limited(retry_after: float) -> Response:
    """Mailchimp's answer to too much at once."""
    detail = "You have exceeded the limit of 10 simultaneous connections."
    return problem(429, "Too Many Requests", detail, {"Retry-After": str(max(1, round(retry_after)))})


def routes(get_world: Callable[[], World]) -> list[BaseRoute]:
    """Every path, with its version."""
    kept: list[Index] = []
    archived: Archived = {}

    def index() -> Index:
        world = get_world()
        if not kept or not kept[0].fits(world):
            kept[:] = [Index(world)]
        return kept[0]

    def route(path: str, answer: Answer, method: str = "GET") -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            try:
                body = answer(index(), request)
            except _Refused as refused:
                return refused.response
            return Response(status_code=204) if body is None else JSONResponse(_shown(request, body))

        return Route(f"/{VERSION}/{path}", endpoint, methods=[method])

    member = "lists/{list_id}/members/{contact}"
    return [
        route("ping", lambda index, request: {"health_status": "Everything's Chimpy!"}),
        route("lists", _lists),
        route("lists/{list_id}/members", lambda index, request: _members(index, request, archived)),
        route(member, lambda index, request: _member(index, request, archived)),
        route(member, lambda index, request: _archive(index, request, archived), "DELETE"),
        route(f"{member}/actions/delete-permanent", _delete, "POST"),
        route(f"{member}/activity-feed", _feed),
        route("campaigns", _campaigns),
        route("automations", _automations),
        route("automations/{workflow_id}/emails", _automation_emails),
        route("reports", _reports),
        route("reports/{campaign_id}", lambda index, request: index.report(_letter(index, request))),
        route("reports/{campaign_id}/sent-to", _sent_to),
        route("reports/{campaign_id}/email-activity", _activity),
        route("reports/{campaign_id}/unsubscribed", _unsubscribed),
        route("reports/{campaign_id}/abuse-reports", _complaints),
        route("conversations", _conversations),
        route("conversations/{conversation_id}/messages", _messages),
    ]


def _shown(request: Request, body: Json) -> Json:
    """The body with the fields asked for only."""
    wanted, unwanted = (request.query_params.get(name, "") for name in ("fields", "exclude_fields"))
    if wanted:
        body = _only(body, _tree(wanted))
    return _without(body, _tree(unwanted)) if unwanted else body


def _tree(paths: str) -> Json:
    tree: Json = {}
    for path in paths.split(","):
        branch = tree
        for name in path.strip().split("."):
            branch = branch.setdefault(name, {})
    return tree


def _only(value: Any, tree: Json) -> Any:
    if isinstance(value, list):
        return [_only(item, tree) for item in value]
    if not isinstance(value, dict) or not tree:
        return value
    return {name: _only(value[name], branch) for name, branch in tree.items() if name in value}


def _without(value: Any, tree: Json) -> Any:
    if isinstance(value, list):
        return [_without(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: value[name] for name in value if tree.get(name) != {}}
    return {name: _without(item, tree[name]) if name in tree else item for name, item in kept.items()}


def _page(
    request: Request, name: str, rows: Sequence[Any], shape: Callable[[Any], Json], **more: Any
) -> Json:
    """One page of rows, by count and offset."""
    count, offset = _number(request, "count", PAGE), _number(request, "offset", 0)
    if not 0 < count <= MAX_PAGE or offset < 0:
        raise _Refused(400, "Invalid Resource", f"count is from 1 to {MAX_PAGE}, offset from 0.")
    return {name: [shape(row) for row in rows[offset : offset + count]], **more, "total_items": len(rows)}


def _number(request: Request, name: str, default: int) -> int:
    try:
        return int(request.query_params.get(name, default))
    except ValueError:
        raise _Refused(400, "Invalid Resource", f"{name} is not an integer.") from None


def _time(request: Request, name: str) -> datetime | None:
    value = request.query_params.get(name)
    if not value:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise _Refused(400, "Invalid Resource", f"{name} is not an ISO 8601 time.") from None


def _between(
    request: Request, name: str, rows: Sequence[Any], moment: Callable[[Any], datetime]
) -> list[Any]:
    """The rows after `since_<name>` and before `before_<name>`, where those are given."""
    since, before = _time(request, f"since_{name}"), _time(request, f"before_{name}")
    return [
        row
        for row in rows
        if (since is None or moment(row) > since) and (before is None or moment(row) < before)
    ]


def _missing() -> _Refused:
    return _Refused(404, "Resource Not Found", "The requested resource could not be found.")


def _lists(index: Index, request: Request) -> Json:
    return _page(request, "lists", list(index.campaigns), index.audience)


def _audience(index: Index, request: Request) -> str:
    key: str = request.path_params["list_id"]
    if key not in index.members:
        raise _missing()
    return key


def _contact(index: Index, request: Request) -> Recipient:
    found = index.members[_audience(index, request)].get(request.path_params["contact"])
    if found is None:
        raise _missing()
    return found


def _members(index: Index, request: Request, archived: Archived) -> Json:
    """Contacts; archived ones are listed when asked for."""
    key, given = _audience(index, request), request.query_params

    def changed(recipient: Recipient) -> datetime:
        return archived.get(recipient.id) or index.changed(recipient)

    status = given.get("status")
    everybody = index.members[key].values()
    listed = [recipient for recipient in everybody if (recipient.id in archived) == (status == "archived")]
    rows = _between(request, "last_changed", listed, changed)
    if status not in (None, "archived"):
        rows = [row for row in rows if index.member(key, row, None)["status"] == status]
    if given.get("sort_field") == "last_changed":
        rows.sort(key=changed, reverse=given.get("sort_dir") == "DESC")
    shape = lambda recipient: index.member(key, recipient, archived.get(recipient.id))  # noqa: E731
    return _page(request, "members", rows, shape, list_id=key)


def _member(index: Index, request: Request, archived: Archived) -> Json:
    recipient = _contact(index, request)
    return index.member(_audience(index, request), recipient, archived.get(recipient.id))


def _archive(index: Index, request: Request, archived: Archived) -> None:
    archived[_contact(index, request).id] = index.world.now


def _delete(index: Index, request: Request) -> None:
    gone = _contact(index, request)
    recipients = index.world.email.recipients
    recipients[:] = [recipient for recipient in recipients if recipient is not gone]


def _feed(index: Index, request: Request) -> Json:
    """A contact's activity, newest first; only sends are shown."""
    _contact(index, request)
    key, contact = request.path_params["list_id"], request.path_params["contact"]
    wanted = request.query_params.get("activity_filters", "sent").split(",")
    events = index.feeds.get((key, contact), [])[::-1] if "sent" in wanted else []
    page = _page(request, "activity", events, index.sent, email_id=contact, list_id=key)
    del page["total_items"]
    return page


def _campaigns(index: Index, request: Request) -> Json:
    regular = [letter for letter in index.letters.values() if letter.campaign.id in index.regular]
    rows = _between(request, "create_time", regular, lambda letter: letter.campaign.created_at)
    return _page(request, "campaigns", rows, index.campaign)


def _automations(index: Index, request: Request) -> Json:
    rows = [campaign for campaign in index.campaigns.values() if campaign.id not in index.regular]
    return _page(request, "automations", rows, index.automation)


def _automation_emails(index: Index, request: Request) -> Json:
    workflow_id = request.path_params["workflow_id"]
    rows = [
        x for x in index.letters.values() if x.campaign.id == workflow_id and workflow_id not in index.regular
    ]
    if not rows:
        raise _missing()
    return {"emails": [index.automation_email(row) for row in rows], "total_items": len(rows)}


def _reports(index: Index, request: Request) -> Json:
    sent = [letter for letter in index.letters.values() if letter.sent]
    rows = _between(request, "send_time", sent, lambda letter: letter.sent[0].occurred_at)
    return _page(request, "reports", rows, index.report)


def _letter(index: Index, request: Request) -> Letter:
    letter = index.letters.get(request.path_params["campaign_id"])
    if letter is None or not letter.sent:
        raise _missing()
    return letter


def _there(index: Index, letter: Letter, events: list[EmailEvent]) -> list[EmailEvent]:
    """Events of contacts who were not deleted for good: of those, reports keep the figures alone."""
    members = index.members[shapes.list_id(letter.campaign)]
    return [event for event in events if index.hashes[event.email] in members]


def _sent_to(index: Index, request: Request) -> Json:
    letter = _letter(index, request)
    rows = _there(index, letter, letter.sent)
    return _page(request, "sent_to", rows, lambda x: index.recipient(letter, x), campaign_id=letter.id)


def _activity(index: Index, request: Request) -> Json:
    letter, since = _letter(index, request), _time(request, "since")
    rows = _there(index, letter, letter.sent)
    if since is not None:
        recent = {c for c, events in letter.activity.items() if events[-1].occurred_at > since}
        rows = [event for event in rows if index.hashes[event.email] in recent]
    return _page(request, "emails", rows, lambda x: index.activity(letter, x, since), campaign_id=letter.id)


def _unsubscribed(index: Index, request: Request) -> Json:
    letter = _letter(index, request)
    rows = _there(index, letter, letter.unsubscribed)
    return _page(request, "unsubscribes", rows, lambda x: index.unsubscribe(letter, x), campaign_id=letter.id)


def _complaints(index: Index, request: Request) -> Json:
    letter = _letter(index, request)
    rows = [index.complaint(letter, event) for event in _there(index, letter, letter.complaints)]
    return {"abuse_reports": rows, "campaign_id": letter.id, "total_items": len(rows)}


def _conversations(index: Index, request: Request) -> Json:
    given = request.query_params
    rows = [
        talk
        for talk in index.talks.values()
        if given.get("campaign_id") in (None, talk.letter.id)
        and given.get("list_id") in (None, shapes.list_id(talk.letter.campaign))
    ]
    return _page(request, "conversations", rows, index.talk)


def _messages(index: Index, request: Request) -> Json:
    talk = index.talks.get(request.path_params["conversation_id"])
    if talk is None:
        raise _missing()
    since = _time(request, "since_timestamp")
    rows = [
        m for m in index.messages(talk) if since is None or datetime.fromisoformat(m["timestamp"]) > since
    ]
    return {"conversation_messages": rows, "conversation_id": talk.id, "total_items": len(rows)}
