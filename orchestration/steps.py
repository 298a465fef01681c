"""What every step of a run shares: the one writer's lock, and the instant the run is for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from orchestration.clock import AS_OF_TAG, as_of
from orchestration.environment import Environment
from settings.lock import run_lock

WRITER = "writer"
POOL = "warehouse"
#: Dagster's runs wait for each other by the pool; for a run of the command line, so long.
WAIT_SECONDS = 3600.0


def writer(environment: Environment) -> dg.ResourceDefinition:
    """Holds the state folder's lock for as long as a run lasts, whoever started it."""

    @dg.resource(description="The right to write the warehouse; one run has it at a time.")
    def hold(context: dg.InitResourceContext) -> Iterator[None]:
        with run_lock(environment.home, f"Dagster run {context.run_id}", WAIT_SECONDS):
            yield

    return hold


def instant_of(context: dg.AssetExecutionContext, environment: Environment) -> datetime:
    """The instant that every step of this run is for."""
    return _instant(context.instance, context.run_id, environment)


def instant_of_run(context: dg.InitResourceContext, environment: Environment) -> datetime:
    """The same, for what a run needs before its first step."""
    assert context.instance is not None and context.run_id is not None
    return _instant(context.instance, context.run_id, environment)


def _instant(instance: dg.DagsterInstance, run_id: str, environment: Environment) -> datetime:
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        raise LookupError(f"Dagster does not know its run {run_id}")
    return as_of(environment, record.dagster_run.tags.get(AS_OF_TAG), record.create_timestamp)
