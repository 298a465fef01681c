"""The analytics team's way in: Dagster's UI, with the same job, started from the web page."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster_ui import JOB, NO_SCHEDULE_NOW, Ui, serving_ui
from revops import Revops, sandbox_company

from settings.paths import Home


@pytest.fixture(scope="module")
def revops(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    return sandbox_company(tmp_path_factory.mktemp("ui"), size=40, months=12, extra=NO_SCHEDULE_NOW)


@pytest.fixture(scope="module")
def ui(revops: Revops) -> Iterator[Ui]:
    with serving_ui(revops) as started:
        yield started


def test_the_page_shows_the_job_and_its_schedules(ui: Ui) -> None:
    (repository,) = ui.ask(
        "{ repositoriesOrError { ... on RepositoryConnection { nodes {"
        " jobs { name } schedules { name pipelineName scheduleState { status } } } } } }"
    )["repositoriesOrError"]["nodes"]
    assert JOB in [job["name"] for job in repository["jobs"]]
    schedules = {one["name"]: one for one in repository["schedules"]}
    assert {name: one["pipelineName"] for name, one in schedules.items()} == {
        "daily": JOB,
        "hourly": "email_and_billing",
    }
    assert {one["scheduleState"]["status"] for one in schedules.values()} == {"RUNNING"}


def test_a_run_from_the_page_publishes_the_marts(revops: Revops, ui: Ui) -> None:
    run_id = ui.start()
    assert ui.ended(run_id) == "SUCCESS"
    assert len(revops.published()) >= 14
    checks = ui.ask(
        '{ assetNodeOrError(assetKey: {path: ["gaps", "register"]}) { ... on AssetNode {'
        " assetChecksOrError { ... on AssetChecks { checks { name"
        " executionForLatestMaterialization { status } } } } } } }"
    )["assetNodeOrError"]["assetChecksOrError"]["checks"]
    verdicts = {check["name"]: check["executionForLatestMaterialization"]["status"] for check in checks}
    assert verdicts["bridge_residual"] == "SUCCEEDED"
    assert verdicts["duplicate_accounts"] == "FAILED"  # planted


def test_a_run_from_the_page_is_logged_and_measured_as_any_other(revops: Revops, ui: Ui) -> None:
    home = Home(revops.home)
    lines = [json.loads(line) for line in home.run_log.read_text(encoding="utf-8").splitlines()]
    (run_id,) = {line["run_id"] for line in lines}
    assert ui.status(run_id) == "SUCCESS"
    ended = {line["message"] for line in lines if line["message"] == f"{line['step']} ends"}
    assert ended >= {"load_hubspot ends", "models ends", "publish ends"}
    measured = home.metrics.read_text(encoding="utf-8")
    assert all(f'revops_step_failed{{step="{one.removesuffix(" ends")}"}} 0.0' in measured for one in ended)
    # What is in the log is shown beside the run, too.
    events = ui.ask(
        "query Logs($id: ID!) { logsForRun(runId: $id, limit: 1000) { ... on EventConnection { events {"
        " __typename ... on LogsCapturedEvent { fileKey } } } } }",
        id=run_id,
    )["logsForRun"]["events"]
    (file,) = [event["fileKey"] for event in events if event["__typename"] == "LogsCapturedEvent"]
    shown = ui.ask(
        "query Shown($key: [String!]!) { capturedLogs(logKey: $key) { stdout } }",
        key=[run_id, "compute_logs", file],
    )["capturedLogs"]["stdout"]
    assert "load_hubspot ends\n" in shown and "OK created sql table model marts.kpi_values" in shown


def test_a_check_shows_the_first_rows_found_and_the_data_docs_are_served(revops: Revops, ui: Ui) -> None:
    (register,) = ui.ask(
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


def test_it_ends_when_told_to_and_leaves_nothing_running(revops: Revops, ui: Ui) -> None:
    command = ui.process
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
