"""Mailshake: campaigns, their recipients, what was sent and what came of it, leads and the team.

Objects: team members, campaigns, recipients, sent messages, opens, clicks, replies (people's, automatic
ones, bounces and unsubscribes), leads of Lead Catcher; API version 2017-04-01.

Changes: the API has no date filters, but lists the newest first: later loads read each list until it is
older than the cursor minus the lag window. Campaigns and team are few and listed fully. A recipient that was
edited shows in no list of changes, so all of them are listed again every 90 days. Mailshake counts nothing.

Deletes: campaigns and team members no longer listed are marked at once, recipients at the next full listing.

Limits: 32,000 requests an hour, of the 36,000 that Mailshake allows a team; pages of 100.

Permissions: an API key of the team, which Mailshake gives under Extensions, API.

Secrets: api_key.

Left out: texts of messages, which are nobody's business here; the unsubscribe list, which the API only
takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, dropwhile, takewhile
from typing import Any

import pyarrow as pa
from dlt.extract import DltSource
from dlt.sources.helpers.rest_client.auth import HttpBasicAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from ingestion import changes, core, json_pages, mailshake_rows
from ingestion.arrow import TYPES
from ingestion.core import Batches, Feed, State, make_source
from ingestion.http import BadAnswerError, VendorClient, client, explain, secret
from ingestion.mailshake_rows import TABLES, Json
from settings.config import SourceConfig

BASE_URL = "https://api.mailshake.com"
VERSION = "2017-04-01"
#: Requests in seconds: Mailshake counts a team's by the hour.
LIMIT = (32_000, 3600)
PAGE = 100
#: Rows that are turned into one Arrow table.
BATCH = 20_000
#: JSON that is turned into one.
BATCH_BYTES = 2**24
SWEEP_DAYS = 90


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """The dlt source; the key is looked up here."""
    load = _Load(_client(config), as_of, config.lag_minutes)
    feeds: dict[str, Feed] = {
        "team": load.team,
        "campaigns": load.campaigns,
        "recipients": load.recipients,
        **{table: partial(load.events, table) for table in ("sent", "opens", "clicks", "replies")},
        "leads": load.leads,
    }
    return make_source(config, TABLES, feeds)


def check(config: SourceConfig) -> None:
    """One cheap call; `UserError` if Mailshake cannot be reached or refuses the key."""
    try:
        _client(config).get_json(f"{VERSION}/me")
    except Exception as exc:
        raise explain(exc, config.name) from exc


def _client(config: SourceConfig) -> VendorClient:
    return client(
        config,
        BASE_URL,
        auth=HttpBasicAuth(secret(config), ""),
        paginator=JSONResponseCursorPaginator(cursor_path="nextToken", cursor_param="nextToken"),
        limit=LIMIT,
    )


class _Load:
    """One load of one Mailshake team. `campaigns` runs before `recipients`, which are listed by campaign."""

    def __init__(self, api: VendorClient, as_of: datetime, lag_minutes: int) -> None:
        self.api = api
        self.as_of = as_of
        self.lag_minutes = lag_minutes
        self.campaign_ids: list[str] = []

    def team(self, state: State) -> Batches:
        """The team's users."""
        yield [mailshake_rows.member(body) for body in self._list("team/list-members")]

    def campaigns(self, state: State) -> Batches:
        """All campaigns."""
        rows = [mailshake_rows.campaign(body) for body in self._list("campaigns/list")]
        self.campaign_ids = [str(row["id"]) for row in rows]
        yield rows

    def recipients(self, state: State) -> Batches:
        """Recipients added since the last load; all of them now and then, or when a campaign is new here."""
        known = changes.known_keys("recipients", "campaign_id")
        swept = state.get("swept")
        due = swept is None or self.as_of - datetime.fromisoformat(swept) >= timedelta(days=SWEEP_DAYS)
        since, until = changes.cursor_range(state, self.lag_minutes)
        if due:
            state["swept"] = self.as_of.isoformat()
        ids: list[str] = []

        def rows() -> Iterator[Json]:
            for campaign_id in self.campaign_ids:
                start = None if due or campaign_id not in known else since
                for body in self._newest("recipients/list", "created", start, until, campaignID=campaign_id):
                    ids.append(str(body["id"]))
                    yield mailshake_rows.recipient(body, campaign_id)

        yield from self._batches(rows(), state, "created")
        if due:
            seen = pa.table({"id": pa.array(ids, TYPES["text"])})
            yield core.deleted("recipients", TABLES["recipients"], [seen])

    def events(self, table: str, state: State) -> Batches:
        """Activity since the last load."""
        since, until = changes.cursor_range(state, self.lag_minutes)
        path = f"activity/{table}"
        if since is not None:
            found = (
                mailshake_rows.event(table, body) for body in self._newest(path, "actionDate", since, until)
            )
            yield from self._batches(found, state, "action_date")
            return
        pages = self.api.texts(f"{VERSION}/{path}", {"perPage": PAGE}, "results", "nextToken")
        for group in json_pages.by_size(pages, BATCH_BYTES):
            rows = mailshake_rows.events(table, group)
            yield rows
            moments = (
                rows["action_date"] if isinstance(rows, pa.Table) else [row["action_date"] for row in rows]
            )
            changes.advance_cursor(state, moments)

    def leads(self, state: State) -> Batches:
        """Leads created, and leads whose status changed, since the last load."""
        since, until = changes.cursor_range(state, self.lag_minutes)
        if since is None:
            found = list(self._list("leads/list"))
        else:
            found = list(self._newest("activity/created-leads", "created", since, until))
            seen = {body["id"] for body in found}
            changed = self._newest("activity/lead-status-changes", "lastStatusChangeDate", since, until)
            found += [body for body in changed if body["id"] not in seen]
        rows = [mailshake_rows.lead(body) for body in found]
        moments = ("created", "last_status_change_date")
        yield rows
        changes.advance_cursor(state, (row.get(name) for row in rows for name in moments))

    def _list(self, path: str, **params: Any) -> Iterator[Json]:
        given = {"perPage": PAGE, **params}
        return chain.from_iterable(
            self.api.paginate(f"{VERSION}/{path}", params=given, data_selector="results")
        )

    def _newest(
        self, path: str, field: str, since: datetime | None, until: datetime | None, **params: Any
    ) -> Iterator[Json]:
        """What is not older than `since`, and older than `until`, of a list that has the newest first."""
        found = self._list(path, **params)
        if since is None:
            return found
        if field == "lastStatusChangeDate":  # without one, it is a lead nobody has touched
            found = (body for body in found if body.get(field) is not None)
        found = takewhile(lambda body: _moment(path, field, body.get(field)) >= since, found)
        if until is None:
            return found
        return dropwhile(lambda body: _moment(path, field, body.get(field)) >= until, found)

    def _batches(self, rows: Iterator[Json], state: State, field: str) -> Batches:
        """Large batches of rows; the cursor follows `field`."""
        batch: list[Json] = []
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                yield batch
                changes.advance_cursor(state, (row[field] for row in batch))
                batch = []
        yield batch
        changes.advance_cursor(state, (row.get(field) for row in batch))


def _moment(path: str, field: str, value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadAnswerError(f"/{VERSION}/{path}", f"{field} is not a time") from None
