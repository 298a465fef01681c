"""The analytics team's way in: Dagster's UI, with the same job, started from the web page."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from revops import Revops, free_port, sandbox_company

STARTED = """
mutation Start($job: ExecutionParams!) {
  launchRun(executionParams: $job) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
JOB = {
    "selector": {
        "repositoryLocationName": "orchestration.definitions",
        "repositoryName": "__repository__",
        "jobName": "revenue_pipeline",
    }
}


class Page:
    """The web page's API."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def is_up(self) -> bool:
        try:
            self.ask("{ version }")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True


def until(is_so: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def revops(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return sandbox_company(tmp_path_factory.mktemp("ui"), size=40, months=12)


@pytest.fixture(scope="module")
def page(revops: Revops) -> Iterator[tuple[Page, subprocess.Popen[str]]]:
    port = free_port()
    said = revops.config.with_name("ui.log")
    with said.open("w", encoding="utf-8") as file:
        command = revops.start("ui", "--port", str(port), into=file)
        found = Page(port)
        until(lambda: found.is_up() or command.poll() is not None, 90)
        assert command.poll() is None, said.read_text(encoding="utf-8")
        yield found, command
    if command.poll() is None:
        command.terminate()
        command.wait(60)


def test_the_page_shows_the_job_and_its_daily_schedule(page: tuple[Page, Any]) -> None:
    (repository,) = page[0].ask(
        "{ repositoriesOrError { ... on RepositoryConnection { nodes {"
        " jobs { name } schedules { name pipelineName scheduleState { status } } } } } }"
    )["repositoriesOrError"]["nodes"]
    assert "revenue_pipeline" in [job["name"] for job in repository["jobs"]]
    (schedule,) = repository["schedules"]
    assert schedule["pipelineName"] == "revenue_pipeline"
    assert schedule["scheduleState"]["status"] == "RUNNING"


def test_a_run_from_the_page_publishes_the_marts(revops: Revops, page: tuple[Page, Any]) -> None:
    started = page[0].ask(STARTED, job=JOB)["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess", started
    query = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    status = ""

    def has_ended() -> bool:
        nonlocal status
        status = page[0].ask(query, id=started["run"]["runId"])["runOrError"]["status"]
        return status in ("SUCCESS", "FAILURE", "CANCELED")

    until(has_ended, 240)
    assert status == "SUCCESS"
    assert len(revops.published()) >= 14
    checks = page[0].ask(
        '{ assetNodeOrError(assetKey: {path: ["gaps", "register"]}) { ... on AssetNode {'
        " assetChecksOrError { ... on AssetChecks { checks { name"
        " executionForLatestMaterialization { status } } } } } } }"
    )["assetNodeOrError"]["assetChecksOrError"]["checks"]
    verdicts = {check["name"]: check["executionForLatestMaterialization"]["status"] for check in checks}
    assert verdicts["bridge_residual"] == "SUCCEEDED"
    assert verdicts["duplicate_accounts"] == "FAILED"  # planted


def test_a_check_shows_the_first_rows_found_and_the_data_docs_are_served(
    revops: Revops, page: tuple[Page, Any]
) -> None:
    (register,) = page[0].ask(
        '{ assetNodes(assetKeys: [{path: ["gaps", "register"]}]) { metadataEntries { label'
        " ... on UrlMetadataEntry { url } } assetChecksOrError { ... on AssetChecks { checks { name"
        " executionForLatestMaterialization { evaluation { metadataEntries { label"
        " ... on MarkdownMetadataEntry { mdStr } ... on IntMetadataEntry { intValue } } } } } } } } }"
    )["assetNodes"]
    checks = {check["name"]: check for check in register["assetChecksOrError"]["checks"]}
    said = checks["duplicate_accounts"]["executionForLatestMaterialization"]["evaluation"]["metadataEntries"]
    entries = {entry["label"]: entry for entry in said}
    lines = entries["first rows"]["mdStr"].splitlines()
    assert lines[0].startswith("| one side | says |")
    assert len(lines) - 2 == entries["found"]["intValue"]
    with revops.marts() as marts:
        keys = marts.execute(
            "select key_left from marts.silo_gaps where gap_type = 'duplicate_accounts'"
        ).fetchall()
    assert {line.split(" | ")[0] for line in lines[2:]} == {f"| crm {key}" for (key,) in keys}
    (address,) = [entry["url"] for entry in register["metadataEntries"] if entry["label"] == "Data Docs"]
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert "Gates of the revenue warehouse" in answer.read().decode()


def test_it_ends_when_told_to_and_leaves_nothing_running(revops: Revops, page: tuple[Page, Any]) -> None:
    command = page[1]
    command.send_signal(signal.SIGTERM)
    command.wait(60)
    assert command.returncode == 0
    mine = [path for path in Path("/proc").glob("[0-9]*/environ") if _is_of(path, revops.home)]
    assert mine == []


def _is_of(environ: Path, home: Path) -> bool:
    try:
        return f"REVOPS_HOME={home}".encode() in environ.read_bytes().split(b"\0")
    except OSError:
        return False
