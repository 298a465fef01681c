"""`revops run`: Dagster's own job, executed in this process."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestration import run_log
from orchestration.dbt_manifest import build_manifest
from orchestration.environment import Environment, prepare_folders
from orchestration.faults import fault
from orchestration.helper import collect_seldom
from orchestration.scope import Scope
from settings.lock import run_lock

#: Dagster captures what steps print with processes of its own, which Ctrl-C would reach and make noise.
NO_CAPTURE = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}

#: Told of each step (its name, what it does, how many tables it will write) as it "starts", "writes" a table,
#: "ends" or "fails".
Watcher = Callable[[str, str, int], None]


@dataclass
class RunReport:
    """How a run went: `status` is done, held or failed. A failed one may have published: all but a source."""

    status: str
    is_published: bool = False
    as_of: str | None = None
    seconds: float = 0.0
    #: source -> table -> rows read, loaded, in all
    sources: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def holding(self) -> list[str]:
        """What the gates that hold KPIs back say."""
        return [gate["message"] for gate in self.gates if gate["holds"]]


@contextlib.contextmanager
def sandbox_running(environment: Environment) -> Iterator[None]:
    """The fictional company answers while in the block, if revops.toml asks for it."""
    with sandbox_starting(environment) as answering:
        answering()
        yield


@contextlib.contextmanager
def sandbox_starting(environment: Environment) -> Iterator[Callable[[], object]]:
    """The same, for who has something else to do until it answers; gives what waits for that."""
    asked = environment.config.sandbox
    if asked is None:
        yield lambda: None
        return
    from sandbox.client import starting
    from sandbox.state import State, prepare

    prepare(environment.home.sandbox, State.of(asked))
    with starting(environment.home.sandbox, asked.port) as answering:
        yield answering


def run(
    environment: Environment,
    watch: Watcher,
    scope: Scope | None = None,
    tags: Mapping[str, str] | None = None,
) -> RunReport:
    """The whole pipeline once, or with `scope` all of it but the loads of the other sources.

    In: `tags` of the run, which say what else is asked for (`orchestration.accepting`, `.unchanged`).
    Raises `UserError` for what stops it before it begins; what goes wrong in a step is in the report.
    """
    started = time.monotonic()
    collect_seldom()
    prepare_folders(environment.home)
    with run_lock(environment.home, "revops run"):
        watch("prepare", "starts", 1)
        with sandbox_starting(environment) as answering:
            importlib.import_module("ingestion.core")  # dlt shares packages with what is imported aside
            imports = _import_aside("dagster_dbt")
            answering()  # the manifest depends on which files there are
            build_manifest(environment)
            imports.join()
            watch("prepare", "ends", 1)
            report = _execute(environment, watch, scope, tags or {})
    report.seconds = time.monotonic() - started
    return report


def _import_aside(module: str) -> threading.Thread:
    """Import in a thread what takes seconds and is needed soon, while other processes are waited for.

    Only packages that this process is not using meanwhile: two threads inside one package can trip over its
    circular imports.
    """
    thread = threading.Thread(target=importlib.import_module, args=(module,), daemon=True)
    thread.start()
    return thread


def _execute(
    environment: Environment, watch: Watcher, scope: Scope | None, tags: Mapping[str, str]
) -> RunReport:
    import dagster as dg
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.execute_in_process import core_execute_in_process
    from dagster._core.instance.ref import InstanceRef

    from orchestration.dbt_build import BUILT
    from orchestration.definitions import JOB, build
    from orchestration.gates import read_verdict
    from orchestration.ingest import WARNINGS
    from orchestration.publication import PUBLISH

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    run_id = str(uuid.uuid4())
    with (
        run_log.captured(environment.home, run_id),
        dg.DagsterInstance.from_ref(
            InstanceRef.from_dir(str(environment.home.dagster), overrides={"compute_logs": NO_CAPTURE})
        ) as instance,
    ):
        job = build(environment).resolve_job_def(JOB)
        selected = job.asset_layer.selected_asset_keys
        if scope is not None:
            others = {f"raw_{name}" for name in environment.config.sources if name != scope.source}
            selected = {key for key in selected if key.path[0] not in others}
            job = job.get_subset(asset_selection=selected)
        tables = {node.name: len(node.definition.output_defs) for node in job.nodes}
        instance.add_event_listener(run_id, lambda entry: _tell(entry, tables, BUILT, watch))
        # Not `job.execute_in_process`: it puts an executor of its own in the place of the job's.
        result = core_execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            job=InMemoryJob(job_def=job),
            instance=instance,
            output_capturing_enabled=False,
            raise_on_error=False,
            run_tags={**tags, **(scope.tags() if scope is not None else {})},
            run_id=run_id,
            asset_selection=frozenset(selected),
        )
    report = RunReport("done" if result.success else "failed")
    for event in result.all_events:
        if event.is_step_failure:
            report.errors.append(_reason(event.step_failure_data.error))
        elif event.is_failure and not report.errors:
            report.errors.append(_reason(getattr(event.event_specific_data, "error", None)))
        elif event.is_step_success and event.step_key == PUBLISH:
            report.is_published = True
        elif event.is_step_materialization:
            found = event.step_materialization_data.materialization
            _count(report, found.asset_key, found.metadata)
        elif event.is_asset_observation:
            observed = event.asset_observation_data.asset_observation
            _count(report, observed.asset_key, observed.metadata)
            if WARNINGS in observed.metadata:  # dbt's steps observe things too
                report.warnings += map(str, observed.metadata[WARNINGS].value)  # type: ignore[arg-type]
    if report.is_published:
        verdict = read_verdict(environment.home)
        report.as_of = verdict["as_of"]
        report.gates = verdict["gates"]
        if result.success:
            report.status = "held" if report.holding else "done"
    return report


def _count(report: RunReport, asset: Any, found: Mapping[str, Any]) -> None:
    """What a load says of a raw table."""
    schema, table = asset.path
    if not schema.startswith("raw_") or "rows read" not in found:
        return
    metadata = {name: value.value for name, value in found.items()}
    report.sources.setdefault(schema.removeprefix("raw_"), {})[table] = {
        "read": metadata["rows read"],
        "loaded": metadata["rows loaded"],
        "total": metadata["dagster/row_count"],
    }


def _tell(entry: Any, tables: dict[str, int], built: str, watch: Watcher) -> None:
    event = entry.dagster_event
    if event is None and entry.step_key in tables and entry.user_message.startswith(built):
        watch(entry.step_key, "writes", tables[entry.step_key])
    if event is None or event.step_key is None:
        return
    kinds = {
        "STEP_START": "starts",
        "STEP_SUCCESS": "ends",
        "STEP_FAILURE": "fails",
    }
    if event.event_type_value in kinds:
        watch(event.step_key, kinds[event.event_type_value], tables[event.step_key])


def _reason(error: Any) -> str:
    """The message meant for the user, if the failure has one; else what failed, in one line.

    Raises KeyboardInterrupt if that is what ended the step.
    """
    found = fault(error)
    if found is None:
        return "the run failed, and Dagster does not say why; look at it with `revops ui`"
    if found.is_interruption:
        raise KeyboardInterrupt
    return found.told or f"{found.said} (a fault of the pipeline; `revops ui` shows where)"
