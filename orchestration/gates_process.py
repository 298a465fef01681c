"""The gates' process of a run, which imports Great Expectations while the models are built."""

from __future__ import annotations

import base64
import contextlib
import pickle
from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from expectations.engine import GateReport
from expectations.register import Acceptance
from orchestration import unchanged
from orchestration.environment import Environment
from orchestration.gates_worker import ANSWER
from orchestration.helper import Helper
from orchestration.run_log import LOG
from orchestration.steps import WRITER, instant_of_run
from settings.errors import UserError

GATES = "gates"


class GatesProcess(Helper):
    """Great Expectations, waiting for the models."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        super().__init__("orchestration.gates_worker")

    def evaluate(
        self, environment: Environment, instant: datetime, accepted: Acceptance | None
    ) -> GateReport:
        """`expectations.engine.run_gates`, in that process; once a run.

        Raises `UserError` if that does, RuntimeError for whatever else goes wrong, whose place the log tells.
        """
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and has said why
            process.stdin.write(pickle.dumps((environment.home, environment.config, instant, accepted)))
            process.stdin.close()
        said = ""
        for line in process.stdout:
            if not line.startswith(ANSWER):
                if printed := line.decode(errors="replace").strip():
                    said = printed
                    LOG.info("%s", said)
                continue
            answer = pickle.loads(base64.b64decode(line.removeprefix(ANSWER)))
            if "told" in answer:
                raise UserError(answer["told"])
            if "said" in answer:
                LOG.error("%s", answer["trace"])
                raise RuntimeError(f"the gates could not be evaluated: {answer['said']}")
            report: GateReport = answer["report"]
            return report
        raise RuntimeError(
            f"the gates' process ended with {process.wait()} and no answer: {said or 'no word'}"
        )


def gates_process(environment: Environment) -> dg.ResourceDefinition:
    """One `GatesProcess` a run, which ends with it; whoever builds the models starts it."""

    @dg.resource(description="Great Expectations, imported and waiting.", required_resource_keys={WRITER})
    def start(context: dg.InitResourceContext) -> Iterator[GatesProcess]:
        # If there is nothing for dbt to do, its time is not enough.
        likely = unchanged.is_likely(environment.home, instant_of_run(context, environment))
        with GatesProcess().likely_needed(likely) as process:
            yield process

    return start
