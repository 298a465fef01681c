"""How Mailchimp is talked to: its address, key, paging and refusals.

In: a source's configuration. Out: a client for the Marketing API at the data centre that the key names.
"""

from __future__ import annotations

from typing import Any

from dlt.sources.helpers.rest_client.auth import HttpBasicAuth
from dlt.sources.helpers.rest_client.paginators import OffsetPaginator
from requests import HTTPError, Response

from ingestion.core import Batches, Feed, State
from ingestion.http import VendorClient, client, secret
from settings.config import SourceConfig
from settings.errors import UserError

VERSION = "3.0"
#: Requests in seconds. Mailchimp limits connections, not requests; this is only a guard.
LIMIT = (1000, 1)
#: Of the 10 that Mailchimp allows.
CONNECTIONS = 8
PAGE = 1000


def connect(config: SourceConfig) -> VendorClient:
    """A client; the key is looked up here."""
    key = secret(config)
    return client(
        config,
        _address(config, key),
        auth=HttpBasicAuth("revops", key),
        paginator=OffsetPaginator(PAGE, limit_param="count", total_path="total_items"),
        limit=LIMIT,
    )


def _address(config: SourceConfig, key: str) -> str:
    """The data centre after the key's last hyphen."""
    suffix = key.rpartition("-")[2] if "-" in key else ""
    if not config.base_url and not suffix.isalnum():
        raise UserError(
            f"source {config.name!r}: the key does not end in a data centre such as '-us21'. Copy it whole, "
            f"or set base_url under [sources.{config.name}]"
        )
    return f"https://{suffix}.api.mailchimp.com"


class ShortPage(OffsetPaginator):
    """Pages of a list that does not say its length: it ends with a page that is not full."""

    def __init__(self) -> None:
        super().__init__(PAGE, limit_param="count", total_path=None)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """After a page."""
        super().update_state(response, data)
        if len(data or []) < PAGE:
            self._has_next_page = False


def explained(config: SourceConfig, feed: Feed) -> Feed:
    """The feed, with Mailchimp's own words where it refuses one."""

    def told(state: State) -> Batches:
        try:
            yield from feed(state)
        except HTTPError as exc:
            words = refused(exc, config)
            if words is None:
                raise
            raise words from exc

    return told


def refused(exc: BaseException, config: SourceConfig) -> UserError | None:
    """What a 403 means: keys have no scopes, so it is the account, its plan or the data centre."""
    if not isinstance(exc, HTTPError) or exc.response is None or exc.response.status_code != 403:
        return None
    try:
        problem = exc.response.json()
        said = f"{problem['title']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return None
    return UserError(
        f"source {config.name!r}: Mailchimp denies access (HTTP 403), {said} Check the account, "
        f"the role of the key's user and base_url under [sources.{config.name}]"
    )
