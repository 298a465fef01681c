"""Each configured source as assets: the system it reads, and its raw tables.

A load brings what is new of a whole source. Events and invoices are there by month as well, so that months of
them can be loaded again on their own, from Dagster's UI.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import dagster as dg

from ingestion.changes import Backfill
from ingestion.core import LoadReport, TableReport, TableSpec, has_loaded, load_source, raw_tables
from orchestration.environment import Environment
from orchestration.keys import api_key, raw_key
from orchestration.scope import backfill_of
from orchestration.steps import POOL, WRITER, instant_of
from settings.config import SourceConfig
from settings.errors import OutageError, UserError

#: What a load noticed and did not stop at, as metadata of the system it read.
WARNINGS = "warnings"
#: A run with this tag waits so many seconds, once for each number, for a system that does not answer.
PATIENCE_TAG = "revops/patience"
#: Of a run nobody waits for. The connectors themselves try for a minute before they give up.
PATIENCE = "60 300 900"
LOADED = "loaded"


def build_assets(environment: Environment) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """For each source its system, its tables, and its months of events and invoices."""
    found: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for source in environment.config.sources.values():
        found += [_system(source), _load(environment, source)]
        found += [
            _months_of(environment, source, name, spec)
            for name, spec in raw_tables(source).items()
            if spec.happened
        ]
    return found


def months(environment: Environment) -> dg.MonthlyPartitionsDefinition:
    """The months that can be loaded again, the present one included."""
    company = environment.config.company
    return dg.MonthlyPartitionsDefinition(
        start_date=company.history_from.isoformat(), timezone=company.timezone, end_offset=1
    )


def _system(source: SourceConfig) -> dg.AssetSpec:
    place = source.base_url or (str(source.mapping) if source.mapping else "the vendor's public address")
    return dg.AssetSpec(
        api_key(source.name),
        description=f"{source.type} at {place}: a system outside, which the pipeline only reads.",
        group_name="systems",
        kinds={source.type},
        metadata={"silo": source.silo},
    )


def _table(source: SourceConfig, name: str, spec: TableSpec) -> dg.AssetSpec:
    return dg.AssetSpec(
        raw_key(source.name, name),
        deps=[api_key(source.name)],
        description=spec.description,
        group_name=f"raw_{source.name}",
        kinds={"dlt", "duckdb"},
    )


def _load(environment: Environment, source: SourceConfig) -> dg.AssetsDefinition:
    tables = raw_tables(source)
    whole = [name for name, spec in tables.items() if not spec.happened]

    @dg.multi_asset(
        name=f"load_{source.name}",
        specs=[_table(source, name, tables[name]) for name in whole],
        check_specs=[
            dg.AssetCheckSpec(
                LOADED,
                asset=raw_key(source.name, name),
                description="The run's load went well. If not, what is built is as of the last good one.",
            )
            for name in whole
        ],
        required_resource_keys={WRITER},
        pool=POOL,
        can_subset=False,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        instant = instant_of(context, environment)
        asked = backfill_of(context.run.tags, source.name)
        try:
            report = load_source(source, instant, environment.home, asked)
        except UserError as exc:
            patience = context.run.tags.get(PATIENCE_TAG, "").split()
            if isinstance(exc, OutageError) and context.retry_number < len(patience):
                seconds = float(patience[context.retry_number])
                raise dg.RetryRequested(len(patience), seconds) from exc
            if has_loaded(source, environment.home):
                # The step has failed, and so has the run; but who depends on these tables goes on with them.
                yield from _kept(source, whole, str(exc))
            raise
        if report.warnings:
            context.log_event(dg.AssetObservation(api_key(source.name), metadata={WARNINGS: report.warnings}))
        for name, spec in tables.items():
            if spec.happened:
                _log_months(context, environment, source, name, report, instant)
        for name in whole:
            yield _result(source, name, report.tables[name], _check(source, name, True))

    return load


def _months_of(
    environment: Environment, source: SourceConfig, name: str, spec: TableSpec
) -> dg.AssetsDefinition:
    """Loads months of a table again, as their source has them now. Nothing else changes."""

    @dg.multi_asset(
        name=f"load_{source.name}_{name}_again",
        specs=[_table(source, name, spec)],
        partitions_def=months(environment),
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={WRITER},
        pool=POOL,
    )
    def load_again(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        window = context.partition_time_window
        asked = Backfill(window.start.astimezone(UTC), name, window.end.astimezone(UTC), is_exact=True)
        report = load_source(source, instant_of(context, environment), environment.home, asked)
        yield _result(source, name, report.tables[name])

    return load_again


def _result(
    source: SourceConfig, name: str, table: TableReport, *checks: dg.AssetCheckResult
) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        asset_key=raw_key(source.name, name), metadata=_rows(table), check_results=checks
    )


def _rows(table: TableReport) -> Mapping[str, int]:
    return {"rows read": table.extracted, "rows loaded": table.loaded, "dagster/row_count": table.total}


def _check(source: SourceConfig, name: str, passed: bool, said: str | None = None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed, asset_key=raw_key(source.name, name), check_name=LOADED, description=said
    )


def _kept(source: SourceConfig, tables: list[str], said: str) -> Iterator[dg.MaterializeResult]:
    for name in tables:
        yield dg.MaterializeResult(
            asset_key=raw_key(source.name, name),
            metadata={"not loaded": said},
            check_results=[_check(source, name, False, f"as of the last good load: {said}")],
        )


def _log_months(
    context: dg.AssetExecutionContext,
    environment: Environment,
    source: SourceConfig,
    name: str,
    report: LoadReport,
    instant: datetime,
) -> None:
    """What a load brought of a table by month: all months of a first load, and later those with news."""
    table, key = report.tables[name], raw_key(source.name, name)
    rows = table.by_month(environment.config.company.timezone)
    known = months(environment).get_partition_keys(instant)
    for month in known:
        if month in rows or report.is_first or month == known[-1]:
            found = {"rows loaded": rows.get(month, 0)}
            context.log_event(dg.AssetMaterialization(key, metadata=found, partition=month))
    context.log_event(dg.AssetObservation(key, metadata=_rows(table)))
