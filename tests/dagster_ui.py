"""The real `revops ui` for tests: started on a company, asked as its web page asks, ended."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from revops import Revops, free_port

JOB = "revenue_pipeline"
#: For revops.toml where a test is not about schedules: none comes between, at whatever time it runs.
NO_SCHEDULE_NOW = '\n[schedules]\ndaily = "0 0 29 2 *"\nhourly = "0 0 29 2 *"\n'

_STARTED = """
mutation Start($job: ExecutionParams!) {
  launchRun(executionParams: $job) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
_STATUS = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@dataclass(frozen=True)
class Ui:
    """A running `revops ui`: its address, and its process."""

    address: str
    process: subprocess.Popen[str] = field(repr=False)

    def ask(self, query: str, **variables: Any) -> Any:
        """What Dagster's GraphQL API answers."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.address}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def is_up(self) -> bool:
        """Whether the web page answers."""
        try:
            self.ask("{ version }")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def start(self, job: str = JOB) -> str:
        """Start a job as the page's button does; the run's id."""
        selector = {
            "repositoryLocationName": "orchestration.definitions",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        started = self.ask(_STARTED, job={"selector": selector})["launchRun"]
        assert started["__typename"] == "LaunchRunSuccess", started
        run_id: str = started["run"]["runId"]
        return run_id

    def status(self, run_id: str) -> str:
        """How a run stands: QUEUED, STARTED, SUCCESS ..."""
        status: str = self.ask(_STATUS, id=run_id)["runOrError"]["status"]
        return status

    def ended(self, run_id: str, seconds: float = 480) -> str:
        """How a run ended; waits for it."""
        until(lambda: self.status(run_id) in ("SUCCESS", "FAILURE", "CANCELED"), seconds)
        return self.status(run_id)


def until(is_so: Callable[[], object], seconds: float) -> None:
    """Wait until something is so; fails the test after these seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.5)


@contextlib.contextmanager
def serving_ui(revops: Revops) -> Iterator[Ui]:
    """`revops ui` on this company while in the block, answering."""
    port = free_port()
    said = revops.config.with_name("ui.log")
    with said.open("w", encoding="utf-8") as file:
        process = revops.start("ui", "--port", str(port), into=file)
        ui = Ui(f"http://127.0.0.1:{port}", process)
        try:
            until(lambda: ui.is_up() or process.poll() is not None, 240)
            assert process.poll() is None, said.read_text(encoding="utf-8")
            yield ui
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)
