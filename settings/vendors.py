"""Which source types there are: `files`, and every vendor that has a staging folder in the dbt project."""

from __future__ import annotations

from functools import cache

import yaml

from settings.paths import DBT_PROJECT

FILES = "files"


@cache
def vendors() -> dict[str, str]:
    """Vendor -> its silo, as `_sources.yml` of its staging folder says."""
    found = {}
    for path in sorted((DBT_PROJECT / "models" / "staging").glob("*/_sources.yml")):
        for source in yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]:
            silo = source.get("config", {}).get("meta", {}).get("silo")
            if silo:
                found[source["name"]] = silo
    return found
