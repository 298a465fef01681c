"""The real web page, daemon and runs: schedules, sensors, queues, crashes, backfills, a dead source."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import duckdb
import pytest
import requests
from dagster_ui import Ui, serving_ui, until
from revops import Revops, copied

RUNS = """
query Runs($tag: [ExecutionTag!]) { runsOrError(filter: {tags: $tag}) { ... on Runs { results {
  runId status pipelineName assets { key { path } }
} } } }"""
BACKFILL = """
mutation Backfill($asked: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $asked) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
} }"""
BACKFILL_STATUS = """
query Status($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status error { message } } } }"""
CHECKS = """
query Checks($of: AssetKeyInput!) { assetNodeOrError(assetKey: $of) { ... on AssetNode {
  assetChecksOrError { ... on AssetChecks { checks { name
    executionForLatestMaterialization { status evaluation { description } } } } } } } }"""
MONTHS = ("2025-02-01", "2025-03-01", "2025-04-01")
REPOSITORY = {"repositoryLocationName": "orchestration.definitions", "repositoryName": "__repository__"}


@pytest.fixture(scope="module")
def revops(small_company: Revops, tmp_path_factory: pytest.TempPathFactory) -> Revops:
    """A company after its first run, whose hourly schedule is one of every minute."""
    made = copied(small_company, tmp_path_factory.mktemp("daemon") / "company")
    with made.config.open("a", encoding="utf-8") as config:
        config.write('\n[schedules]\ndaily = "0 0 29 2 *"\nhourly = "* * * * *"\n')
    return made


@pytest.fixture(scope="module")
def ui(revops: Revops) -> Iterator[Ui]:
    with serving_ui(revops) as found:
        yield found


def runs(ui: Ui, **tags: str) -> list[dict[str, Any]]:
    """Runs with these tags, the latest first."""
    asked = [{"key": f"dagster/{name}", "value": value} for name, value in tags.items()]
    found: list[dict[str, Any]] = ui.ask(RUNS, tag=asked)["runsOrError"]["results"]
    return found


def schemas_of(ui: Ui, run_id: str) -> set[str]:
    """The schemas whose assets a run has made."""
    (run,) = [run for run in runs(ui) if run["runId"] == run_id]
    return {asset["key"]["path"][0] for asset in run["assets"]}


def sources_of(ui: Ui, run_id: str) -> set[str]:
    """The sources that a run has loaded."""
    return {schema for schema in schemas_of(ui, run_id) if schema.startswith("raw_")}


def stop_schedule(ui: Ui, name: str) -> None:
    """Turn it off, as the page's switch does."""
    selector = ", ".join(f'{key}: "{value}"' for key, value in {**REPOSITORY, "scheduleName": name}.items())
    found = ui.ask(
        f"{{ scheduleOrError(scheduleSelector: {{{selector}}})"
        " { ... on Schedule { scheduleState { id } } } }"
    )
    state = found["scheduleOrError"]["scheduleState"]["id"]
    stopped = ui.ask(f'mutation {{ stopRunningSchedule(id: "{state}") {{ __typename }} }}')
    assert stopped["stopRunningSchedule"]["__typename"] == "ScheduleStateResult", stopped


def quiet(ui: Ui) -> bool:
    """Whether no run is queued or under way."""
    going = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
    return not [run for run in runs(ui) if run["status"] in going]


def worker(revops: Revops, run_id: str) -> int | None:
    """The process that executes a run, once it has the right to write the warehouse."""
    with contextlib.suppress(OSError, ValueError):
        holder = json.loads((revops.home / "run.holder").read_text(encoding="utf-8"))
        if run_id in holder["holder"]:
            return int(holder["pid"])
    return None


def test_a_schedule_starts_its_run_by_itself(ui: Ui) -> None:
    until(lambda: runs(ui, schedule_name="hourly"), 150)
    run = runs(ui, schedule_name="hourly")[-1]
    stop_schedule(ui, "hourly")
    assert run["pipelineName"] == "email_and_billing"
    assert ui.ended(run["runId"]) == "SUCCESS"
    assert sources_of(ui, run["runId"]) == {"raw_mailshake", "raw_stripe"}
    until(lambda: quiet(ui), 240)


def test_a_changed_file_starts_a_run_for_its_source(ui: Ui, revops: Revops) -> None:
    spend = revops.home / "sandbox" / "finance" / "spend.csv"
    lines = spend.read_text(encoding="utf-8").splitlines()
    spend.write_text("\n".join([*lines, re.sub("^[^,]*", "late-bill", lines[-1])]) + "\n", encoding="utf-8")
    until(lambda: runs(ui, sensor_name="new_files"), 180)
    (run,) = runs(ui, sensor_name="new_files")
    assert ui.ended(run["runId"]) == "SUCCESS"
    assert sources_of(ui, run["runId"]) == {"raw_finance"}
    with revops.warehouse() as warehouse:
        assert warehouse.execute(
            "select count(*) from finance.spend where spend_id = 'late-bill'"
        ).fetchone() == (1,)


def test_a_second_run_waits_and_a_killed_one_gives_its_place_back(ui: Ui, revops: Revops) -> None:
    first = ui.start()
    until(lambda: ui.status(first) == "STARTED" and worker(revops, first), 90)
    second = ui.start()
    until(lambda: ui.status(second) == "QUEUED", 30)
    process = worker(revops, first)
    assert process is not None and ui.status(first) == "STARTED"
    assert ui.status(second) == "QUEUED"
    os.kill(process, signal.SIGKILL)
    until(lambda: ui.status(first) == "FAILURE", 120)
    assert ui.ended(second, 300) == "SUCCESS"


def months_of(connection: duckdb.DuckDBPyConnection, where: str) -> dict[str, int]:
    """Rows of opens by month."""
    counted = connection.execute(
        "select strftime(date_trunc('month', action_date), '%Y-%m-01'), count(*)"
        f" from raw_mailshake.opens where {where} group by all"
    ).fetchall()
    return dict(counted)


def test_a_backfill_of_three_months_changes_only_them_and_what_is_made_of_them(
    ui: Ui, revops: Revops
) -> None:
    until(lambda: quiet(ui), 240)
    with duckdb.connect(str(revops.home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        before = months_of(warehouse, "true")
        assert before.keys() > {*MONTHS}
        warehouse.execute("update raw_mailshake.opens set email = 'spoilt@spoilt.example', _hash = 0")
    asked = {
        "assetSelection": [{"path": ["raw_mailshake", "opens"]}],
        "partitionNames": MONTHS,
        "title": "three months again",
    }
    before_it = len(runs(ui, sensor_name="what_is_stale"))
    launched = ui.ask(BACKFILL, asked=asked)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    backfill = launched["backfillId"]

    def status() -> str:
        found = ui.ask(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
        assert found["error"] is None, found
        return str(found["status"])

    until(lambda: status().startswith("COMPLETED") or status() == "FAILED", 300)
    assert status() == "COMPLETED_SUCCESS"
    assert [run["status"] for run in runs(ui, backfill=backfill)] == ["SUCCESS"]
    # What is made of these months follows by itself.
    until(lambda: len(runs(ui, sensor_name="what_is_stale")) > before_it, 120)
    made = runs(ui, sensor_name="what_is_stale")[0]
    assert ui.ended(made["runId"]) == "SUCCESS"
    assert schemas_of(ui, made["runId"]) >= {"core", "gaps", "marts", "published", "kpis"}
    assert sources_of(ui, made["runId"]) == set()
    with revops.warehouse() as warehouse:
        assert months_of(warehouse, "true") == before
        mended = months_of(warehouse, "email <> 'spoilt@spoilt.example'")
        assert mended == {month: before[month] for month in MONTHS}
        known = warehouse.execute(
            "select count(*) from email.events where event_type = 'open' and email <> 'spoilt@spoilt.example'"
        ).fetchone()
    assert known is not None and known[0] >= sum(before[month] for month in MONTHS)


def test_one_dead_source_leaves_the_rest_fresh(ui: Ui, revops: Revops) -> None:
    until(lambda: quiet(ui), 240)
    found = re.search(r"port = (\d+)", revops.config.read_text(encoding="utf-8"))
    assert found
    address = f"http://127.0.0.1:{found[1]}/_sandbox"
    requests.post(f"{address}/advance", json={"days": 3}, timeout=60).raise_for_status()
    dead = {"path": "^/stripe/", "kind": "500"}
    requests.post(f"{address}/faults", json=dead, timeout=5).raise_for_status()
    with revops.warehouse() as warehouse:
        before = newest(warehouse)
    run = ui.start()
    assert ui.ended(run) == "FAILURE"
    requests.delete(f"{address}/faults", timeout=5)
    newest_day = "select max(day) from marts.pipeline_daily"
    with revops.warehouse() as warehouse:
        after, built = newest(warehouse), only(warehouse, newest_day)
    assert after["stripe"] == before["stripe"]
    assert after["hubspot"] > before["hubspot"] and after["mailshake"] > before["mailshake"]
    with revops.marts() as marts:
        assert built is not None and only(marts, newest_day) == built
    checks = ui.ask(CHECKS, of={"path": ["raw_stripe", "customers"]})["assetNodeOrError"][
        "assetChecksOrError"
    ]
    (loaded,) = [one["executionForLatestMaterialization"] for one in checks["checks"]]
    assert loaded["status"] == "FAILED"
    assert "last good load" in loaded["evaluation"]["description"]
    assert "HTTP 500" in loaded["evaluation"]["description"]


def newest(warehouse: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """When the newest rows of each source were loaded."""
    tables = {"hubspot": "deals", "mailshake": "sent", "stripe": "invoices"}
    return {
        source: only(warehouse, f"select max(_loaded_at) from raw_{source}.{table}")
        for source, table in tables.items()
    }


def only(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The one value that a query gives."""
    (value,) = connection.execute(query).fetchone() or (None,)
    return value
