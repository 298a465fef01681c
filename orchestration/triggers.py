"""When what runs: jobs, schedules, sensors, and the rule by which what is stale is built anew."""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta

import dagster as dg

from ingestion.core import raw_tables
from ingestion.files_reader import stamp
from ingestion.mapping import read_mapping
from orchestration.environment import Environment
from orchestration.ingest import PATIENCE, PATIENCE_TAG
from orchestration.keys import raw_key
from orchestration.scope import SOURCE_TAG
from settings.config import SourceConfig
from settings.errors import UserError
from settings.vendors import FILES

JOB = "revenue_pipeline"
HOURLY_JOB = "email_and_billing"
HOURLY_SILOS = ("email", "billing")
#: Nobody waits for these runs.
TAGS = {PATIENCE_TAG: PATIENCE}
#: Files that are still being written are left alone until they have not changed for so long.
SETTLED_SECONDS = 30.0
#: What people read is a day old at most; a run may start late and take its time.
WARN_AFTER, FAIL_AFTER = timedelta(hours=26), timedelta(hours=30)
PEOPLE_READ = ("published", "kpis")

_UPDATED = dg.AutomationCondition.newly_updated()
_UPSTREAM_UPDATED = dg.AutomationCondition.any_deps_match(_UPDATED)
_REQUESTED_TOO = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested())
#: A run and a backfill may both end between two looks: which of them was last, only their times tell.
OUTRUN = _UPSTREAM_UPDATED.since(_UPDATED) | _REQUESTED_TOO
#: What was updated before anybody looked is no news: the run that did it built the rest, too.
HANDLED = (
    dg.AutomationCondition.newly_requested()
    | (_UPDATED & ~OUTRUN)
    | dg.AutomationCondition.initial_evaluation()
)
#: A look takes seconds: what it sees updated may be of a run whose next step it does not see yet, and whose
#: end it does. So news waits for the next look.
STALE = (
    dg.AutomationCondition.any_deps_updated().since(HANDLED)
    & ~_UPSTREAM_UPDATED
    & ~dg.AutomationCondition.in_progress()
    & ~dg.AutomationCondition.any_deps_in_progress()
)


def when_stale(assets: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The same, built when something upstream was and no run is about to; fresh enough where people read."""

    def with_rules(spec: dg.AssetSpec) -> dg.AssetSpec:
        spec = spec.replace_attributes(automation_condition=STALE)
        if spec.key.path[0] in PEOPLE_READ:
            fresh = dg.FreshnessPolicy.time_window(fail_window=FAIL_AFTER, warn_window=WARN_AFTER)
            spec = spec.replace_attributes(freshness_policy=fresh)
        return spec

    return assets.map_asset_specs(with_rules)


def jobs(environment: Environment) -> list[dg.UnresolvedAssetJobDefinition]:
    """The whole pipeline, and as much of it as there is news of by the hour."""
    found = [
        dg.define_asset_job(
            JOB,
            selection=_all(environment),
            description="Every source is loaded, models are built, gates evaluated, marts published.",
        )
    ]
    if _hourly(environment):
        others = [source for source in environment.config.sources.values() if source.silo not in HOURLY_SILOS]
        found.append(
            dg.define_asset_job(
                HOURLY_JOB,
                selection=_all(environment) - _loads(others),
                description="The same, but of the sources only those of e-mail and billing are loaded.",
            )
        )
    return found


def schedules(environment: Environment) -> list[dg.ScheduleDefinition]:
    """In the company's time zone; runs that meet wait for each other."""
    cron = environment.config.schedules
    wanted = {"daily": (JOB, cron.daily)}
    if _hourly(environment):
        wanted["hourly"] = (HOURLY_JOB, cron.hourly)
    return [
        dg.ScheduleDefinition(
            name=name,
            job_name=job,
            cron_schedule=when,
            execution_timezone=environment.config.company.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags=TAGS,
        )
        for name, (job, when) in wanted.items()
    ]


def sensors(environment: Environment) -> list[dg.SensorDefinition]:
    """New files start a run for their source; what became stale otherwise (a backfill) is built."""
    found: list[dg.SensorDefinition] = [
        dg.AutomationConditionSensorDefinition(
            "what_is_stale",
            target=dg.AssetSelection.all(),
            default_status=dg.DefaultSensorStatus.RUNNING,
            run_tags=TAGS,
        )
    ]
    sources = [source for source in environment.config.sources.values() if source.type == FILES]
    if sources:
        found.append(_new_files(environment, sources))
    return found


def _new_files(environment: Environment, sources: list[SourceConfig]) -> dg.SensorDefinition:
    @dg.sensor(
        name="new_files",
        target=_all(environment),
        description="Loads a source of files when one is added, replaced or removed.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known = dict(line.split(" ", 1) for line in (context.cursor or "").splitlines())
        requests = []
        for source in sources:
            try:
                stamps = stamp(read_mapping(source))
            except (UserError, OSError) as exc:
                context.log.warning(f"source {source.name!r}: {exc}")
                continue
            seen = hashlib.sha256(repr(stamps).encode()).hexdigest()
            youngest = max((written for *_, written in stamps), default=0) / 1e9
            if seen == known.get(source.name) or time.time() - youngest < SETTLED_SECONDS:
                continue
            if source.name in known:
                others = [one for one in environment.config.sources.values() if one.name != source.name]
                assert context.repository_def is not None
                chosen = (_all(environment) - _loads(others)).resolve(context.repository_def.asset_graph)
                requests.append(
                    dg.RunRequest(
                        asset_selection=sorted(chosen),
                        tags={**TAGS, SOURCE_TAG: source.name},
                    )
                )
            known[source.name] = seen
        cursor = "\n".join(f"{name} {seen}" for name, seen in sorted(known.items()))
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return look


def _all(environment: Environment) -> dg.AssetSelection:
    """Everything but the months of events and invoices, which the loads of their sources bring."""
    by_month = [
        raw_key(source.name, name)
        for source in environment.config.sources.values()
        for name, spec in raw_tables(source).items()
        if spec.happened
    ]
    return dg.AssetSelection.all() - dg.AssetSelection.assets(*by_month)


def _loads(sources: list[SourceConfig]) -> dg.AssetSelection:
    return dg.AssetSelection.assets(
        *(raw_key(source.name, name) for source in sources for name in raw_tables(source))
    )


def _hourly(environment: Environment) -> bool:
    """Whether some sources have news by the hour, and others have not."""
    silos = {source.silo for source in environment.config.sources.values()}
    return bool(silos.intersection(HOURLY_SILOS)) and bool(silos.difference(HOURLY_SILOS))
