"""What revops.toml tells the dbt models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestration.environment import Environment
from settings.vendors import FILES


def variables(environment: Environment, as_of: datetime | None) -> dict[str, Any]:
    """dbt's `--vars`. Without `as_of` they are what the manifest depends on."""
    config = environment.config
    sources = []
    for source in config.sources.values():
        entry: dict[str, Any] = {"name": source.name, "silo": source.silo, "type": source.type}
        if source.type == FILES:
            from ingestion import files

            entry["tables"] = sorted(set(files.tables(source)) - {files.UNPARSED})
        sources.append(entry)
    company = config.company
    given = {
        "currency": company.currency,
        "timezone": company.timezone,
        "fiscal_year_start": company.fiscal_year_start,
        "sources": sources,
        "source_types": sorted({source.type for source in config.sources.values()}),
        "silos": config.silos,
        "policies": config.policies.model_dump(mode="json"),
    }
    if as_of is not None:
        given["as_of"] = as_of.isoformat(sep=" ")
    return given
