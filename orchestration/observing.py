"""What we keep of a run beside Dagster's history, whoever started it: its log, and metrics at its end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration import run_log
from orchestration.environment import Environment
from orchestration.faults import fault
from orchestration.run_log import LOG
from settings.errors import UserError


@contextlib.contextmanager
def observed(environment: Environment, instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Around all steps of a run. What cannot be kept never fails it."""
    steps = _Steps()
    with run_log.written(environment.home, run_id):
        instance.add_event_listener(run_id, lambda entry: steps.note(entry.dagster_event))
        try:
            yield
        finally:
            from orchestration import metrics  # whose library the graph has no use for

            run_log.in_step(None)
            try:
                metrics.write(environment, steps.seconds, steps.failed)
            except (OSError, UserError) as exc:
                LOG.warning("%s was not written: %s", environment.home.metrics, exc)


class _Steps:
    """Notes how the steps of a run go, as Dagster tells of them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self._started: dict[str, float] = {}

    def note(self, event: dg.DagsterEvent | None) -> None:
        """Log it, if it is of a step's beginning or end."""
        if event is None or event.step_key is None:
            return
        step = event.step_key
        if event.is_step_start or event.is_step_restarted:
            self._started[step] = time.monotonic()
            run_log.in_step(step)
            LOG.info("%s starts", step)
        elif event.is_step_up_for_retry:
            LOG.warning("%s failed and will be tried again: %s", step, _said(event.step_retry_data.error))
            run_log.in_step(None)
        elif event.is_step_success or event.is_step_failure:
            seconds = time.monotonic() - self._started.get(step, time.monotonic())
            self.seconds[step] = seconds
            took = {"seconds": round(seconds, 3)}
            if event.is_step_failure:
                self.failed.add(step)
                LOG.error("%s failed: %s", step, _said(event.step_failure_data.error), extra=took)
            else:
                LOG.info("%s ends", step, extra=took)
            run_log.in_step(None)


def _said(error: Any) -> str:
    """What is meant for the user; else what went wrong in the first place."""
    found = fault(error)
    return "Dagster does not say why" if found is None else found.told or found.said
