"""The dbt process of a run: started with it if it is likely to be needed, and then ready after the loads."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration import unchanged
from orchestration.dbt_manifest import dbt_environment, manifest_file
from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from orchestration.run_log import LOG
from orchestration.steps import WRITER, instant_of_run
from settings.paths import DBT_PROJECT

DBT = "dbt"


class DbtProcess:
    """dbt, waiting for commands."""

    def __init__(self, given: dict[str, Any], parsed: Path) -> None:
        """In: the models' variables, and the graph's parse."""
        self._given = given
        self._parsed = parsed
        self.succeeded = False
        self.errors: list[str] = []

    def start(self) -> None:
        """Let it import and parse, while others work; without this it begins with the first command."""
        self._process  # noqa: B018

    @cached_property
    def _process(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "orchestration.dbt_worker", json.dumps(self._given)],
            cwd=DBT_PROJECT,
            env=dbt_environment()
            | {"PYTHONUNBUFFERED": "1", "DBT_PARTIAL_PARSE_FILE_PATH": str(self._parsed)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Run one command; yields dbt's events.

        How it ended is in `succeeded`, what it complained of in `errors`.
        """
        self.succeeded, self.errors = False, []
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(list(arguments)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and has said why
        for line in self._process.stdout:
            event = _parsed(line)
            if event is None:
                self.errors.append(line.strip())
            elif "succeeded" in event:
                self.succeeded = event["succeeded"]
                return
            else:
                _log(event)
                if event["info"]["level"] == "error":
                    self.errors.append(event["info"]["msg"])
                yield event

    def end(self) -> None:
        """Let it go, whatever it is doing: it must not write once the run is over."""
        if "_process" not in vars(self):
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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


def _parsed(line: str) -> dict[str, Any] | None:
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
        process = DbtProcess(variables(environment, instant), parsed)
        if not unchanged.is_likely(environment.home, instant):
            process.start()
        try:
            yield process
        finally:
            process.end()

    return start
