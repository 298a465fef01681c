"""The sensor that tells people: of each run that failed, and of gates that hold KPIs back or no longer do.

Not Dagster's own run failure sensor: it goes on to the next run whether or not the last one's alert arrived,
and passes over runs of the command line. This one keeps in its cursor what somebody has not taken yet, and
tries again at each tick.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import dagster as dg

from orchestration import alert_texts
from orchestration.alert_delivery import Address, Alert, addresses, are_configured, send
from orchestration.environment import Environment
from orchestration.keys import PUBLISHED

NAME = "alerts"
#: Failed runs that one tick looks at, and alerts that wait for an address that does not take them.
MOST_RUNS, MOST_WAITING = 20, 100
#: After this long a tick sends nothing more: Dagster gives it a minute, and what it then forgot comes twice.
SECONDS = 35


@dataclass
class Waiting:
    """An alert, and who has not taken it yet."""

    alert: Alert
    to: list[str]


@dataclass
class State:
    """What the sensor knows from one tick to the next."""

    failed: str | None = None  # how far it has looked at failed runs; None: at none yet
    published: str | None = None  # the last publication it has looked at
    holding: dict[str, Any] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # addresses that did not take what they were sent last

    @classmethod
    def read(cls, cursor: str | None) -> State:
        """As `written` wrote it."""
        if not cursor:
            return cls()
        known = json.loads(cursor)
        waiting = [Waiting(Alert(**one["alert"]), one["to"]) for one in known.pop("waiting")]
        return cls(**known, waiting=waiting)

    def written(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self))


def sensors(environment: Environment) -> list[dg.SensorDefinition]:
    """The sensor, on from the start; none where alerts go to nobody, or are about nothing."""
    if not (environment.config.alerts.events and are_configured()):
        return []

    @dg.sensor(
        name=NAME,
        description="Tells people of runs that failed and of KPIs that gates hold back.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        state = State.read(context.cursor)
        news = [*_of_failures(context, environment, state), *_of_gates(context, environment, state)]
        found = addresses(environment.config.alerts.ui_url) if news or state.waiting else []
        state.waiting += [Waiting(one, [address.label for address in found]) for one in news]
        said = _deliver(context, state, found)
        return dg.SensorResult(skip_reason=said or "nothing to tell", cursor=state.written())

    return [alert]


def _of_failures(
    context: dg.SensorEvaluationContext, environment: Environment, state: State
) -> Iterator[Alert]:
    """Of the runs that failed since the last tick; at the first one, of none."""
    failed = dg.DagsterEventType.RUN_FAILURE
    if state.failed is None:
        state.failed = context.instance.fetch_run_status_changes(failed, limit=1).cursor
        return
    changes = context.instance.fetch_run_status_changes(failed, MOST_RUNS, state.failed, ascending=True)
    state.failed = changes.cursor
    if "failed" not in environment.config.alerts.events or not changes.records:
        return
    graph = context.repository_def.asset_graph if context.repository_def else None
    owners = {key: graph.get(key).owners for key in graph.get_all_asset_keys()} if graph else {}
    for record in changes.records:
        if told := alert_texts.failure(environment, context.instance, record.run_id, owners):
            yield told


def _of_gates(context: dg.SensorEvaluationContext, environment: Environment, state: State) -> Iterator[Alert]:
    """Of what the gates hold after a publication, if it is not what they held before."""
    last = context.instance.get_latest_materialization_event(PUBLISHED)
    if last is None or state.published == (published := f"{last.run_id} {last.timestamp}"):
        return
    before, state.holding = state.holding, alert_texts.holding(environment)
    state.published = published
    if state.holding == before or "held" not in environment.config.alerts.events:
        return
    if state.holding:
        yield alert_texts.held(environment, state.holding, last.run_id)
    else:
        yield alert_texts.free(environment, before, last.run_id)


def _deliver(context: dg.SensorEvaluationContext, state: State, found: Sequence[Address]) -> str:
    """Send what waits, oldest first. Out: what came of it, which names no address.

    An address that does not take an alert is left alone until the next tick, in which it comes last.
    """
    begun = time.monotonic()
    labels = {address.label for address in found}
    for waiting in state.waiting:
        if not labels.issuperset(waiting.to):  # the addresses were changed meanwhile: rather twice than not
            waiting.to = sorted(labels)
    sent = 0
    refused: dict[str, str] = {}
    for address in sorted(found, key=lambda address: address.label in state.refused):
        for waiting in state.waiting:
            if address.label not in waiting.to:
                continue
            late = time.monotonic() - begun > SECONDS
            why = "the other addresses took too long" if late else send(address, waiting.alert)
            if why is not None:
                refused[address.label] = why
                break
            waiting.to.remove(address.label)
            sent += 1
    state.refused = sorted(refused)
    state.waiting = [waiting for waiting in state.waiting if waiting.to]
    for label, why in refused.items():
        context.log.error(f"address {label}: {why}. It is tried again at the next tick")
    if len(state.waiting) > MOST_WAITING:
        context.log.error(f"{len(state.waiting) - MOST_WAITING} alert(s) given up, as newer ones wait, too")
        del state.waiting[:-MOST_WAITING]
    told = [f"sent {sent}"] if sent else []
    told += [f"address {label} waits: {why}" for label, why in refused.items()]
    return "; ".join(told)
