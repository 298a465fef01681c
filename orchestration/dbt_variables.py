"""What revops.toml tells the dbt models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ingestion.contract import contract
from ingestion.core import raw_tables
from ingestion.custom import as_variable, custom_tables
from orchestration.environment import Environment
from settings.config import SourceConfig
from settings.paths import DBT_PROJECT
from settings.vendors import FILES


def variables(environment: Environment, as_of: datetime | None) -> dict[str, Any]:
    """dbt's `--vars`. Without `as_of` they are what the manifest depends on."""
    config = environment.config
    sources = []
    for source in config.sources.values():
        sources.append(
            {
                "name": source.name,
                "silo": source.silo,
                "type": source.type,
                "tables": filled(source),
                "fields": as_variable(custom_tables(source, raw_tables(source))),
            }
        )
    company = config.company
    given = {
        "currency": company.currency,
        "timezone": company.timezone,
        "fiscal_year_start": company.fiscal_year_start,
        "business_hours": company.business_time,
        "sources": sources,
        "source_types": sorted({source.type for source in config.sources.values()}),
        "silos": config.silos,
        "policies": config.policies.model_dump(mode="json"),
        "thresholds": config.thresholds.model_dump(mode="json", include={"won_to_billed_days"}),
        "funnel": config.funnel.model_dump(mode="json"),
    }
    if company.identity_overrides is not None:
        given["identity_overrides"] = str(company.identity_overrides)
    if as_of is not None:
        given["as_of"] = as_of.isoformat(sep=" ")
    return given


def filled(source: SourceConfig) -> list[str]:
    """The contract tables that a source fills: those its mapping has, or its vendor a staging model for."""
    if source.type == FILES:
        from ingestion import files

        return sorted(set(files.tables(source)) - {files.UNPARSED})
    staging = DBT_PROJECT / "models" / "staging" / source.type
    return [
        table for table in contract()[source.silo] if (staging / f"stg_{source.type}__{table}.sql").exists()
    ]
