"""Each configured source as assets: the system it reads, and its raw tables."""

from collections.abc import Iterator

import dagster as dg

from ingestion.core import load_source, raw_tables
from orchestration.catalogue import raw_spec, system_spec
from orchestration.environment import Environment
from orchestration.keys import api_key, raw_key
from orchestration.scope import backfill_of
from orchestration.steps import POOL, WRITER, instant_of
from settings.config import SourceConfig

#: What a load noticed and did not stop at, as metadata of the system it read.
WARNINGS = "warnings"


def build_assets(environment: Environment) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """For each source its system and its tables."""
    found: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for source in environment.config.sources.values():
        found += [system_spec(source), _tables(environment, source)]
    return found


def _tables(environment: Environment, source: SourceConfig) -> dg.AssetsDefinition:
    specs = [raw_spec(source, name, table) for name, table in raw_tables(source).items()]

    @dg.multi_asset(
        name=f"load_{source.name}", specs=specs, required_resource_keys={WRITER}, pool=POOL, can_subset=False
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        instant = instant_of(context, environment)
        report = load_source(source, instant, environment.home, backfill_of(context.run.tags, source.name))
        if report.warnings:
            context.log_event(dg.AssetObservation(api_key(source.name), metadata={WARNINGS: report.warnings}))
        for name, table in report.tables.items():
            yield dg.MaterializeResult(
                asset_key=raw_key(source.name, name),
                metadata={
                    "rows read": table.extracted,
                    "rows loaded": table.loaded,
                    "dagster/row_count": table.total,
                },
            )

    return load
