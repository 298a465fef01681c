"""What changed in Stripe since the last load, read from its event log.

Stripe's lists filter on `created` only, so an edit is found by replaying `/v1/events` from the newest event
of the last load, minus the lag window. Stripe keeps events for 30 days: after a longer pause everything is
listed anew. Event bodies are not trusted as rows (they are snapshots, perhaps of another API version):
the objects they name are fetched again, except those that no longer exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from ingestion.changes import advance_cursor, backfill, cursor_range, ends
from ingestion.http import VendorClient

Json = dict[str, Any]

#: How long Stripe keeps events.
KEPT = timedelta(days=30)
PAGE = 100

#: Event objects that stand for a change of another object: type -> (that object's type, the link to it).
LINKED = {
    "tax_id": ("customer", "customer"),
    "invoice_payment": ("invoice", "invoice"),
    "discount": ("subscription", "subscription"),
}

#: Objects that can cease to exist; a subscription's `deleted` event only means that it ended.
DELETABLE = ("customer", "product", "price", "invoice")


@dataclass
class Replay:
    """The event log since the cursor; `is_full` when it cannot tell what changed."""

    client: VendorClient
    as_of: datetime
    lag_minutes: int
    is_full: bool = True
    since: datetime | None = None
    until: datetime | None = None
    ids: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    deleted: dict[str, dict[str, Json]] = field(default_factory=lambda: defaultdict(dict))
    discounts: dict[str, Json] = field(default_factory=dict)

    def start(self, state: dict[str, Any]) -> None:
        """Read the log from the remembered event on, and remember the newest one.

        A backfill with an end is of what was created in it, and of what changed in it if the log still tells.
        """
        newest = self._newest()
        clock = max(self.as_of, newest or self.as_of)
        start, self.until = cursor_range(state, self.lag_minutes, for_all=True)
        reached = start
        if start is not None and backfill(for_all=True) is None:
            reached = datetime.fromisoformat(state.get("clock") or state["cursor"])
        self.is_full = reached is None or (self.until is None and clock - reached > KEPT)
        advance_cursor(state, [newest or self.as_of], for_all=True)
        if not ends(for_all=True):
            state["clock"] = clock.isoformat()
        if not self.is_full and start is not None:
            self.since = start
            for event in self._events(start):
                self._note(event)

    def _newest(self) -> datetime | None:
        """When the newest event happened; asked before anything is listed, so that nothing falls between."""
        newest = self.client.get_json("v1/events", {"limit": 1})["data"]
        return datetime.fromtimestamp(newest[0]["created"], UTC) if newest else None

    def _events(self, start: datetime) -> Iterator[Json]:
        params = {"limit": PAGE, **self.created(start)}
        for page in self.client.paginate("v1/events", params=params, data_selector="data"):
            yield from page

    def created(self, start: datetime | None) -> dict[str, Any]:
        """The filter of a list on when its objects were made."""
        bounds = {"created[gte]": start and int(start.timestamp())}
        bounds["created[lt]"] = self.until and ceil(self.until.timestamp())
        return {name: bound for name, bound in bounds.items() if bound is not None}

    def _note(self, event: Json) -> None:
        """File an event, newest first, under the object it changed."""
        body, happened = event["data"]["object"], event["type"]
        kind, key = body.get("object", ""), body.get("id")
        if kind == "discount":
            if happened == "customer.discount.deleted" and body.get("end") is None:
                body = body | {"end": event["created"]}
            self.discounts.setdefault(body["id"], body)
        if kind in LINKED:
            kind, link = LINKED[kind]
            key = body.get(link)
        if not key:
            return
        if kind in DELETABLE and happened == f"{kind}.deleted":
            self.deleted[kind].setdefault(key, body)
        self.ids[kind].setdefault(key)
