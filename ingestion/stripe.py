"""Stripe: customers, price list, subscriptions, discounts, invoices and payments, of one account.

Objects: customers, products, prices, subscriptions with all their items, discounts, invoices with all their
lines and the payments linked to them, charges, refunds, credit notes; any API version gives the same rows.

Changes: a first load lists everything and follows child pages to the end. Lists filter on creation only, so
later loads list what was created, and fetch again what the event log says changed. Stripe keeps events for
30 days: after a longer pause everything is listed anew. A backfill with an end reads what was created in it,
and of what changed in it what the log still tells. Stripe counts nothing.

Deletes: deleted customers, products, prices and invoices keep their last row, marked deleted; an ended
subscription is no deleted one.

Limits: 80 requests a second, of the 100 that Stripe allows, and 20 of 25 with a key of test mode; pages of
100.

Permissions: a restricted key that may read customers, products, prices, subscriptions, coupons, invoices,
charges, payment intents, refunds, credit notes and events.

Secrets: api_key, the restricted key.

Left out: tiers of a price, usage records, disputes, balance transactions: no KPI needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from dlt.extract import DltSource
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from requests import HTTPError

from ingestion import changes, core, stripe_rows
from ingestion.arrow import TYPES, to_arrow
from ingestion.core import Batches, Feed, State, make_source
from ingestion.http import VendorClient, client, explain, secret
from ingestion.stripe_changes import PAGE, Json, Replay
from ingestion.stripe_rows import read
from ingestion.stripe_tables import TABLES
from settings.config import SourceConfig

BASE_URL = "https://api.stripe.com"
API_VERSION = "2025-09-30.clover"
#: Requests in seconds: most of what Stripe allows an account, so that other programs have room.
LIMIT, TEST_LIMIT = (80, 1), (20, 1)

#: A page of a list costs about as much as this many single objects.
PAGE_COST = 5


@dataclass(frozen=True)
class _Kind:
    """How one kind of object is listed: its path, the lists' own parameters, what must be expanded."""

    object: str
    path: str
    expand: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()


def source(config: SourceConfig, as_of: datetime, api_version: str = API_VERSION) -> DltSource:
    """The dlt source; the key is looked up here. Any `api_version` gives the same rows."""
    account = _Account(_client(config, api_version), as_of, config.lag_minutes, api_version)
    return make_source(config, TABLES, account.feeds())


def check(config: SourceConfig) -> None:
    """One cheap call; `UserError` if Stripe cannot be reached or refuses the key."""
    try:
        _client(config, API_VERSION).get_json("v1/customers", {"limit": 1})
    except Exception as exc:
        raise explain(exc, config.name) from exc


def _client(config: SourceConfig, api_version: str) -> VendorClient:
    key = secret(config)
    return client(
        config,
        BASE_URL,
        auth=BearerTokenAuth(key),
        paginator=JSONResponseCursorPaginator(
            cursor_path="data[-1].id", cursor_param="starting_after", has_more_path="has_more"
        ),
        headers={"Stripe-Version": api_version},
        limit=TEST_LIMIT if key[2:].startswith("_test_") else LIMIT,
    )


#: A coupon's terms, as a discount's row has them.
_TERMS = ("coupon_id", "percent_off", "amount_off", "currency", "duration", "duration_in_months")


class _Account:
    """One load of one Stripe account. Feeds run in order: `customers` opens the event log, and `invoices`
    collects the rows of the tables that are parts of invoices.
    """

    def __init__(self, api: VendorClient, as_of: datetime, lag_minutes: int, api_version: str) -> None:
        self.api = api
        self.replay = Replay(api, as_of, lag_minutes)
        self.lines: list[pa.Table] = []
        self.links: list[Json] = []
        self.discounts: dict[str, Json] = {}
        self.known_discounts: set[str] = set()
        self.coupons: dict[str, Json | None] = {}
        self.listed: dict[str, list[str]] = {}
        self.announced: set[str] = set()
        current = api_version[:10] >= "2025-03-31"
        coupon = "discounts.source.coupon" if api_version[:10] >= "2025-09-30" else "discounts"
        self.subscription_kind = _Kind("subscription", "subscriptions", (coupon,), (("status", "all"),))
        self.invoice_kind = _Kind("invoice", "invoices", (coupon, "payments") if current else (coupon,))

    def feeds(self) -> dict[str, Feed]:
        """A feed per table, in the order they must run."""
        return {
            "customers": self.customers,
            "products": self._plain(_Kind("product", "products"), stripe_rows.product),
            "prices": self._plain(_Kind("price", "prices"), stripe_rows.price),
            "subscriptions": self.subscriptions,
            "invoices": self.invoices,
            "invoice_lines": lambda state: self.lines,
            "invoice_payments": lambda state: [self.links],
            "discounts": lambda state: [list(self.discounts.values())],
            "charges": self._plain(_Kind("charge", "charges"), stripe_rows.charge),
            "refunds": self._plain(_Kind("refund", "refunds"), stripe_rows.refund),
            "credit_notes": self._plain(_Kind("credit_note", "credit_notes"), stripe_rows.credit_note),
        }

    def customers(self, state: State) -> Batches:
        """Customers; their state holds the cursor of the event log."""
        self.replay.start(state)
        self.known_discounts = changes.known_keys("discounts", "id")
        for row in changes.known_rows("discounts", _TERMS, "duration is not null"):
            self.coupons[row["coupon_id"]] = row | {"id": row["coupon_id"]}
        for body in self.replay.discounts.values():
            self._discount(body)
        kind = _Kind("customer", "customers", ("tax_ids",))
        yield from self._plain(kind, stripe_rows.customer)(state)

    def subscriptions(self, state: State) -> Batches:
        """Subscriptions, items of further pages included."""
        for batch in self._objects(self.subscription_kind):
            rows = []
            for body in batch:
                for discount in _expanded(body):
                    self._discount(discount, self.replay.is_full)
                rows.append(read(stripe_rows.subscription, body, self._children(body["items"])))
            yield rows

    def invoices(self, state: State) -> Batches:
        """Invoices; their lines, payments and discounts are kept for the feeds that follow."""
        for batch in self._objects(self.invoice_kind):
            rows, lines = [], []
            for body in batch:
                row = read(stripe_rows.invoice, body)
                rows.append(row)
                self.links += [link | {"is_deleted": False} for link in stripe_rows.invoice_payments(body)]
                for discount in _expanded(body):
                    self._discount(discount, self.replay.is_full and discount.get("end") is not None)
                if row["status"] == "draft":  # its lines may still change; they come when it is final
                    continue
                for line in self._children(body["lines"]):
                    lines.append(read(stripe_rows.invoice_line, line, row["id"], row["subscription_id"]))
            if lines:
                self.lines.append(self._as_lines(lines))
            yield rows
        yield from self._gone(self.invoice_kind, stripe_rows.invoice)

    def _as_lines(self, rows: list[Json]) -> pa.Table:
        """Lines as an Arrow table: they wait for their turn, and there may be many."""
        return to_arrow("invoice_lines", TABLES["invoice_lines"].columns, rows, announced=self.announced)

    def _discount(self, body: Json, may_be_known: bool = True) -> None:
        """Keep a discount; the first to come (event, subscription, invoice) is the most exact. Between full
        loads its event tells every change, so elsewhere only one the warehouse lacks is news.
        """
        is_known = body["id"] in self.known_discounts and not may_be_known
        if is_known or body["id"] in self.discounts:
            return
        coupon = body.get("coupon") or (body.get("source") or {}).get("coupon")
        if isinstance(coupon, str):
            coupon = self._coupon(coupon)
        if coupon is not None:
            self.discounts[body["id"]] = read(stripe_rows.discount, body | {"coupon": coupon})

    def _coupon(self, key: str) -> Json | None:
        """The terms behind an id, which is all that an event tells; they never change once made.

        None for a deleted coupon that no loaded discount has: whoever still has it tells its terms.
        """
        if key not in self.coupons:
            try:
                self.coupons[key] = self.api.get_json(f"v1/coupons/{key}")
            except HTTPError as exc:
                if exc.response is None or exc.response.status_code != 404:
                    raise
                self.coupons[key] = None
        return self.coupons[key]

    def _plain(self, kind: _Kind, row: Callable[[Json], Json]) -> Feed:
        """A feed of objects that are one row each."""

        def feed(state: State) -> Batches:
            for batch in self._objects(kind):
                yield [read(row, body) for body in batch]
            yield from self._gone(kind, row)

        return feed

    def _objects(self, kind: _Kind) -> Iterator[list[Json]]:
        """Batches of objects that are new or changed; the whole list when the event log cannot tell."""
        table = kind.path
        if self.replay.is_full or not changes.exists(table):
            self.listed[table] = []
            for batch in self._list(kind, {}):
                self.listed[table] += [body["id"] for body in batch]
                yield batch
            return
        seen: set[str] = set()
        for batch in self._list(kind, self.replay.created(self.replay.since)):
            seen |= {body["id"] for body in batch}
            yield batch
        wanted = [key for key in self.replay.ids[kind.object] if key not in seen]
        wanted = [key for key in wanted if key not in self.replay.deleted[kind.object]]
        pages = len(changes.known_keys(table, "id")) // PAGE + 1 if wanted else 0
        if len(wanted) > pages * PAGE_COST:
            yield from self._among(kind, set(wanted))
        else:
            yield [body for key in wanted if (body := self._retrieve(kind, key))]

    def _list(self, kind: _Kind, params: Json) -> Iterator[list[Json]]:
        query = {"limit": PAGE, **dict(kind.params), **params}
        query |= {f"expand[{n}]": f"data.{path}" for n, path in enumerate(kind.expand)}
        for page in self.api.paginate(f"v1/{kind.path}", params=query, data_selector="data"):
            yield list(page)

    def _among(self, kind: _Kind, wanted: set[str]) -> Iterator[list[Json]]:
        """The wanted objects, picked out of the full list; those it lacks are asked for one by one."""
        for batch in self._list(kind, {}):
            chosen = [body for body in batch if body["id"] in wanted]
            wanted -= {body["id"] for body in chosen}
            yield chosen
        yield [body for key in sorted(wanted) if (body := self._retrieve(kind, key))]

    def _retrieve(self, kind: _Kind, key: str) -> Json | None:
        """One object; None if it is deleted."""
        expand = {f"expand[{n}]": path for n, path in enumerate(kind.expand)}
        try:
            body: Json = self.api.get_json(f"v1/{kind.path}/{key}", expand)
        except HTTPError as exc:
            if exc.response is not None and exc.response.status_code == 404:
                return None
            raise
        return None if body.get("deleted") else body

    def _children(self, embedded: Json) -> list[Json]:
        """A child list to its end: the embedded page, or all pages if there are more."""
        if not embedded.get("has_more"):
            return list(embedded["data"])
        pages = self.api.paginate(embedded["url"], params={"limit": PAGE}, data_selector="data")
        return [body for page in pages for body in page]

    def _gone(self, kind: _Kind, row: Callable[[Json], Json]) -> Batches:
        """Deleted objects, as their last rows marked so: named by the event log, or no longer listed."""
        table = kind.path
        if table in self.listed:
            yield core.deleted(table, TABLES[table], [_keys(self.listed[table])])
            return
        deleted = self.replay.deleted[kind.object]
        known = changes.known_keys(table, "id") if deleted else set()
        unseen = [body for key, body in deleted.items() if key not in known]
        yield [read(row, body, is_deleted=True) for body in unseen]
        if known & deleted.keys():
            columns = [*TABLES[table].columns, "_extra"]
            yield changes.marked_deleted(changes.held(table, "id", columns, known & deleted.keys()))


def _expanded(body: Json) -> list[Json]:
    """An object's discounts; old versions have a single one beside the list, or instead of it."""
    found = [*(body.get("discounts") or []), body.get("discount")]
    return [discount for discount in found if isinstance(discount, dict)]


def _keys(ids: Iterable[str]) -> pa.Table:
    return pa.table({"id": pa.array(list(ids), TYPES["text"])})
