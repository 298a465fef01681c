"""The names of what is in Dagster's graph."""

from __future__ import annotations

import dagster as dg

REGISTER = dg.AssetKey(["gaps", "register"])
PUBLISHED = dg.AssetKey(["published", "marts"])
VALUES, DEFINITIONS = dg.AssetKey(["marts", "kpi_values"]), dg.AssetKey(["marts", "kpi_definitions"])


def api_key(source: str) -> dg.AssetKey:
    """The vendor's API, or the files, that a source reads."""
    return dg.AssetKey(["systems", source])


def raw_key(source: str, table: str) -> dg.AssetKey:
    """A table as the vendor sent it."""
    return dg.AssetKey([f"raw_{source}", table])


def kpi_key(kpi: str) -> dg.AssetKey:
    """A KPI as it is published."""
    return dg.AssetKey(["kpis", kpi])
