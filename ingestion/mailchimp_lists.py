"""Mailchimp's lists: every record once, though pages are cut by number while the list moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingestion.http import BadAnswerError, VendorClient
from ingestion.mailchimp_rows import Json

VERSION = "3.0"
#: Records in a page, the most that Mailchimp gives.
PAGE = 1000


class Lists:
    """Reads lists of one account."""

    def __init__(self, api: VendorClient) -> None:
        self.api = api

    def records(self, path: str, name: str, key: str = "id", **params: Any) -> Iterator[Json]:
        """The records of a list with pages, each once; `key` tells them apart.

        A record that vanishes from a page already read pulls the others forward, one of them past the cut
        unseen. So each page begins with the last record of the page before; where it does not, the reading
        steps back. Raises `BadAnswerError` for a list that ends before its `total_items`.
        """
        offset, before = 0, {""}
        while True:
            asked = {"count": PAGE, "offset": offset, "exclude_fields": f"_links,{name}._links", **params}
            body = self.api.get_json(f"{VERSION}/{path}", asked)
            page, total = _listed(body, path, name), int(body["total_items"])
            keys = [str(record.get(key)) for record in page]
            if offset and (not keys or keys[0] not in before):
                offset = max(0, offset - PAGE + 1)
                continue
            yield from (record for record, its in zip(page, keys, strict=True) if its not in before)
            if offset + len(page) >= total:
                return
            if len(page) < 2:
                raise BadAnswerError(f"/{VERSION}/{path}", f"it lists {offset + len(page)} of {total} {name}")
            before = set(keys)
            offset += len(page) - 1

    def whole(self, path: str, name: str, **params: Any) -> list[Json]:
        """A list that comes in one answer."""
        return _listed(self.api.get_json(f"{VERSION}/{path}", params), path, name)

    def total(self, path: str, **params: Any) -> int:
        """How many records Mailchimp counts in a list."""
        asked = {"count": 1, "fields": "total_items", **params}
        return int(self.api.get_json(f"{VERSION}/{path}", asked)["total_items"])


def _listed(body: Json, path: str, name: str) -> list[Json]:
    found = body[name]
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise BadAnswerError(f"/{VERSION}/{path}", f"{name} is not a list of objects")
    return found
