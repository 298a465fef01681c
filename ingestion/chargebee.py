"""Chargebee: customers, price list, subscriptions, coupons, invoices, credit notes, payments.

In: the API v2 of a site with Product Catalog 2.0, at `base_url` (https://<site>.chargebee.com). Out: the
raw tables of `chargebee_tables`.

Objects: customers, items, item prices, coupons, subscriptions with their coupons and manual discounts,
invoices and credit notes with all their lines, transactions (payments, refunds, reversals).

Changes: lists filtered by `updated_at` from the newest one of the last load on, less the lag window. The
price list and the coupons, which are short, are listed whole each time. Chargebee keeps no history of a
subscription's items: staging reads it from the lines of invoices and credit notes. Chargebee counts nothing.

Deletes: `include_deleted` lists what was deleted (a merged customer, too), and deleting moves `updated_at`.
Items, prices and coupons that are listed no more count as deleted.

Limits: 150 requests a minute on test sites and the smallest plan, 1,000 and more on others; 140 a minute
are used. Lists give at most 100 records a page, an invoice of a site with enterprise-scale invoicing 300
lines.

Permissions: a read-only API key with access to all read operations.

Secrets: `api_key`.

Left out: tiers of a price (such an item has no unit price), usages, unbilled charges, quotes, orders,
gifts, hierarchy of customers, addresses beyond the country, scheduled changes until they happen, Product
Catalog 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltSource
from dlt.sources.helpers.rest_client.auth import HttpBasicAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from requests import HTTPError

from ingestion.arrow import to_arrow
from ingestion.changes import advance_cursor, cursor_range, exact
from ingestion.chargebee_tables import TABLES
from ingestion.core import Batches, Feed, State, make_source
from ingestion.http import BadAnswerError, VendorClient, chain, client, explain, secret
from settings.config import SourceConfig
from settings.errors import UserError

#: Requests in seconds, below what the smallest plan may do, so that other programs have room.
LIMIT = (140, 60)
PAGE = 100
#: Most lines of one invoice in an answer.
LINES_PAGE = 300

Json = dict[str, Any]

#: Sorted by what they are filtered on; credit notes can be sorted by date only.
_SORT = {"credit_note": "date"}


def source(config: SourceConfig, as_of: datetime) -> DltSource:
    """The dlt source; the key is looked up here."""
    return make_source(config, TABLES, _Site(_client(config), config).feeds())


def check(config: SourceConfig) -> None:
    """Two cheap calls; `UserError` if the site cannot be read, or has the old product catalogue."""
    try:
        api = _client(config)
        for path in ("customers", "items"):
            api.get_json(f"api/v2/{path}", {"limit": 1})
    except Exception as exc:
        raise explain(_plainer(exc, config.name), config.name) from exc


def _client(config: SourceConfig) -> VendorClient:
    if config.base_url is None:
        raise UserError(
            f"source {config.name!r} has no base_url. Set it under [sources.{config.name}] to the site's "
            'address, such as "https://acme.chargebee.com"'
        )
    return client(
        config,
        config.base_url,
        auth=HttpBasicAuth(secret(config), ""),
        paginator=JSONResponseCursorPaginator(cursor_path="next_offset", cursor_param="offset"),
        limit=LIMIT,
    )


def _plainer(exc: BaseException, source: str) -> BaseException:
    """What Chargebee refuses with a 400 that has a cure, said so."""
    for cause in chain(exc):
        if isinstance(cause, HTTPError) and cause.response is not None and cause.response.status_code == 400:
            try:
                body = cause.response.json()
            except ValueError:
                continue
            if isinstance(body, dict) and body.get("api_error_code") == "configuration_incompatible":
                return UserError(
                    f"source {source!r}: the site has no Product Catalog 2.0 ({body.get('message')}). "
                    "The connector needs it: ask Chargebee to migrate the site"
                )
    return exc


class _Site:
    """One load of one site.

    What is named comes after what names it: whatever a payment or an invoice refers to has been made before
    it, so it is in the lists that follow. Parts of a record wait for the feed of their table.
    """

    def __init__(self, api: VendorClient, config: SourceConfig) -> None:
        self.api = api
        self.config = config
        self.lines: dict[str, list[pa.Table]] = {"invoice_lines": [], "credit_note_lines": []}
        self.coupons: dict[tuple[str, str], Json] = {}
        self.discounts: dict[str, Json] = {}
        self.announced: dict[str, set[str]] = {name: set() for name in self.lines}

    def feeds(self) -> dict[str, Feed]:
        """A feed per table, in the order they must run."""
        return {
            "transactions": lambda state: self._plain("transaction", state),
            "credit_notes": lambda state: self._billed("credit_note", "credit_note_lines", state),
            "credit_note_lines": lambda state: self.lines["credit_note_lines"],
            "invoices": lambda state: self._billed("invoice", "invoice_lines", state),
            "invoice_lines": lambda state: self.lines["invoice_lines"],
            "subscriptions": self._subscriptions,
            "subscription_coupons": lambda state: [list(self.coupons.values())],
            "subscription_discounts": lambda state: [list(self.discounts.values())],
            "customers": lambda state: self._plain("customer", state),
            "coupons": lambda state: self._whole("coupon"),
            "item_prices": lambda state: self._whole("item_price"),
            "items": lambda state: self._whole("item"),
        }

    def _plain(self, kind: str, state: State) -> Batches:
        """Records that are one row each."""
        for batch in self._changed(kind, state):
            yield [_row(body, kind) for body in batch]

    def _whole(self, kind: str) -> Batches:
        """Every record of a short list; what is archived is listed, what is deleted may not be."""
        for batch in self._list(kind, {}):
            yield [_row(body, kind) for body in batch]

    def _subscriptions(self, state: State) -> Batches:
        """Subscriptions; their coupons and discounts are kept for the feeds that follow."""
        for batch in self._changed("subscription", state):
            rows = []
            for body in batch:
                row = _row(body, "subscription")
                row["subscription_items"] = _sorted(_parts(body, "subscription_items"), "item_price_id")
                row["coupons"] = _sorted(_parts(body, "coupons"), "coupon_id")
                own = {"subscription_id": body["id"], "is_deleted": row["is_deleted"]}
                for part in row["coupons"]:
                    self.coupons[body["id"], str(part.get("coupon_id"))] = part | own
                for part in _parts(body, "discounts"):
                    self.discounts[str(part.get("id"))] = part | own
                rows.append(row)
            yield rows

    def _billed(self, kind: str, table: str, state: State) -> Batches:
        """Invoices or credit notes; their lines are kept for the feed that follows.

        One that changes while its list is read comes again at the list's end; only its last lines count.
        """
        seen: set[str] = set()
        for batch in self._changed(kind, state):
            rows: list[Json] = []
            lines: list[Json] = []
            for body in batch:
                row = _row(body, kind)
                rows.append(row)
                if body["id"] in seen:
                    self._forget_lines(table, f"{kind}_id", body["id"])
                seen.add(body["id"])
                if row.get("status") == "pending":  # its lines may still change; they come when it is closed
                    continue
                lines += self._lines(kind, body, bool(row["is_deleted"]))
            if lines:  # as Arrow: they wait for their turn, and there may be many
                columns, ignored = TABLES[table].columns, TABLES[table].ignored
                self.lines[table].append(to_arrow(table, columns, lines, ignored, self.announced[table]))
            yield rows

    def _forget_lines(self, table: str, parent: str, key: str) -> None:
        self.lines[table] = [one.filter(pc.not_equal(one[parent], key)) for one in self.lines[table]]

    def _lines(self, kind: str, body: Json, is_deleted: bool) -> Iterator[Json]:
        """A document's lines to their end, each with its discounts."""
        found, discounts = _parts(body, "line_items"), _parts(body, "line_item_discounts")
        following = body.get("line_items_next_offset")
        if following:
            pages = self.api.paginate(
                f"api/v2/{kind}s/{body['id']}",
                params={"line_items_limit": LINES_PAGE, "line_items_offset": following},
                paginator=JSONResponseCursorPaginator(
                    cursor_path=f"{kind}.line_items_next_offset", cursor_param="line_items_offset"
                ),
                data_selector=kind,
            )
            for page in pages:
                for part in page:
                    found += _parts(part, "line_items")
                    discounts += _parts(part, "line_item_discounts")
        for place, line in enumerate(found):
            key = line.get("id") or f"{body['id']}:{place}"
            yield {
                "subscription_id": body.get("subscription_id"),
                **line,
                "id": key,
                f"{kind}_id": body["id"],
                "line_item_discounts": [one for one in discounts if one.get("line_item_id") == key],
                "is_deleted": is_deleted,
            }

    def _changed(self, kind: str, state: State) -> Iterator[list[Json]]:
        """Records changed since the last load, deleted ones included."""
        params: Json = {"include_deleted": "true", "sort_by[asc]": _SORT.get(kind, "updated_at")}
        since, until = cursor_range(state, self.config.lag_minutes)
        if since is not None and until is not None:
            first, last = int(since.timestamp()), ceil(until.timestamp()) - 1
            bounded = "date" if exact() is not None and TABLES[f"{kind}s"].happened else "updated_at"
            params[f"{bounded}[between]"] = f"[{first},{last}]"  # both count
        elif since is not None:
            params["updated_at[after]"] = int(since.timestamp()) - 1  # the second itself counts, too
        for batch in self._list(kind, params):
            advance_cursor(state, [_moment(body.get("updated_at")) for body in batch])
            yield batch

    def _list(self, kind: str, params: Json) -> Iterator[list[Json]]:
        path = f"api/v2/{kind}s"
        try:
            for page in self.api.paginate(path, params={"limit": PAGE, **params}, data_selector="list"):
                yield [_unwrapped(entry, kind, path) for entry in page]
        except HTTPError as exc:
            raise _plainer(exc, self.config.name) from exc


def _unwrapped(entry: Any, kind: str, path: str) -> Json:
    """A list's entry holds its record under its kind's name, others (such as a card) beside it."""
    body = entry.get(kind) if isinstance(entry, dict) else None
    if not isinstance(body, dict) or "id" not in body:
        raise BadAnswerError(path, f"an entry of the list has no {kind!r}")
    return body


def _row(body: Json, kind: str) -> Json:
    """A record as a row: what the site itself added in one column, of the address the country only."""
    row = body | {"is_deleted": body.get("deleted", False) or body.get("status") == "deleted"}
    columns = TABLES[f"{kind}s"].columns
    if "custom_fields" in columns:
        custom = {name: row.pop(name) for name in body if name.startswith("cf_")}
        row["custom_fields"] = custom
    if "billing_country" in columns:
        address = body.get("billing_address")
        row["billing_country"] = address.get("country") if isinstance(address, dict) else None
    return row


def _sorted(parts: list[Json], key: str) -> list[Json]:
    """In an order of our own, so that another order of the same is no change."""
    return sorted(parts, key=lambda part: str(part.get(key)))


def _parts(body: Json, name: str) -> list[Json]:
    """A record's parts; what is not a list of objects is refused, as any column of another type is."""
    found = body.get(name) or []
    if not isinstance(found, list) or not all(isinstance(part, dict) for part in found):
        kind = "list of other things" if isinstance(found, list) else type(found).__name__
        raise UserError(
            f"table '{body.get('object', 'record')}s', column {name!r}: the type changed from list of "
            f"objects to {kind}. Nothing was loaded. If Chargebee changed it, the connector must be told how "
            "to read it"
        )
    return list(found)


def _moment(value: Any) -> datetime | None:
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else None
