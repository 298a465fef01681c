"""The dbt process of a run: started with it if it is likely to be needed, and then ready after the loads."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration import unchanged
from orchestration.dbt_manifest import dbt_environment, manifest_file
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from orchestration.helper import Helper
from orchestration.run_log import LOG
from orchestration.steps import WRITER, instant_of_run
from settings.paths import DBT_PROJECT

DBT = "dbt"


class DbtProcess(Helper):
    """dbt, waiting for commands."""

    def __init__(self, given: dict[str, Any], parsed: Path) -> None:
        """In: the models' variables, and the graph's parse."""
        super().__init__(
            "orchestration.dbt_worker",
            json.dumps(given),
            cwd=DBT_PROJECT,
            environment=dbt_environment() | {"DBT_PARTIAL_PARSE_FILE_PATH": str(parsed)},
        )
        self.succeeded = False
        self.errors: list[str] = []

    def run(self, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Run one command; yields dbt's events.

        How it ended is in `succeeded`, what it complained of in `errors`.
        """
        self.succeeded, self.errors = False, []
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(list(arguments)).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and has said why
        for line in process.stdout:
            event = _parsed(line)
            if event is None:
                self.errors.append(line.decode(errors="replace").strip())
            elif "succeeded" in event:
                self.succeeded = event["succeeded"]
                return
            else:
                _log(event)
                if event["info"]["level"] == "error":
                    self.errors.append(event["info"]["msg"])
                yield event


def _log(event: dict[str, Any]) -> None:
    """Say it with the node it is of, and the seconds that took, as far as dbt tells."""
    message, data = event["info"]["msg"].strip(), event.get("data", {})
    if not message:  # an empty line, for the eye
        return
    extra: dict[str, Any] = {}
    if node := (data.get("node_info") or {}).get("node_name"):
        extra["node"] = node
    if (seconds := data.get("execution_time")) is not None:
        extra["seconds"] = round(seconds, 3)
    level = getattr(logging, event["info"]["level"].upper(), logging.INFO)
    LOG.log(level, "%s", message, extra=extra)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and ("info" in event or "succeeded" in event) else None


def dbt_process(environment: Environment) -> dg.ResourceDefinition:
    """One `DbtProcess` a run, which ends with it. Only who may write the warehouse starts one."""

    @dg.resource(description="dbt, parsed and waiting.", required_resource_keys={WRITER})
    def start(context: dg.InitResourceContext) -> Iterator[DbtProcess]:
        instant = instant_of_run(context, environment)
        parsed = manifest_file(environment.home).with_name("partial_parse.msgpack")
        likely = not unchanged.is_likely(environment.home, instant)
        with DbtProcess(variables(environment, instant), parsed).likely_needed(likely) as process:
            yield process

    return start
