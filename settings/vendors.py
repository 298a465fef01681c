"""Which source types there are: `files`, and every vendor that has a staging folder in the dbt project.

What else is known of a vendor without talking to it stands beside its silo, in `_sources.yml` of that folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import yaml

from settings.paths import DBT_PROJECT

FILES = "files"

#: Reads YAML; in C where the library was built with it, which every command would wait for otherwise.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class RecordPages:
    """Where a vendor shows its records to people: an address that differs by account, and a path by kind."""

    paths: Mapping[str, str]  # kind of record -> path, with {id}
    address: str  # what the beginning of all pages looks like, as a regular expression
    example: str  # one of these
    from_base_url: Mapping[str, str] | None = (
        None  # an address of the API that tells it: match, and what it gives
    )
    default: str | None = None  # where no base_url is configured
    connector_knows: bool = (
        False  # `ingestion.<vendor>.base_url` says the API's address where none is configured
    )

    def fits(self, address: str) -> bool:
        """Whether pages may begin with an address."""
        return re.fullmatch(self.address, address) is not None

    def beside(self, base_url: str) -> str | None:
        """What pages begin with if the API is at `base_url`; None where that does not tell."""
        if self.from_base_url is None:
            return None
        found = re.match(self.from_base_url["match"] + r"(?=/|\Z)", base_url)
        return found.expand(self.from_base_url["gives"]) if found else None

    def page(self, address: str, kind: str, record_id: str) -> str | None:
        """The page of a record; None where the vendor has none of its kind."""
        path = self.paths.get(kind)
        return None if path is None else address + path.format(id=quote(record_id, safe=""))


@cache
def _facts() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((DBT_PROJECT / "models" / "staging").glob("*/_sources.yml")):
        for source in yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["sources"]:
            meta = source.get("config", {}).get("meta", {})
            if meta.get("silo"):
                found[source["name"]] = meta
    return found


@cache
def vendors() -> dict[str, str]:
    """Vendor -> its silo."""
    return {name: facts["silo"] for name, facts in _facts().items()}


@cache
def record_pages(vendor: str) -> RecordPages | None:
    """Where a vendor shows its records; None where nobody knows, and for files."""
    pages = _facts().get(vendor, {}).get("record_pages")
    return RecordPages(**pages) if pages else None
