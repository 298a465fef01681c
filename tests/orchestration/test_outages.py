"""A system that is out is waited for by runs that nobody waits for, and by no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
from revops import Revops, copied

from ingestion.http import MAX_ATTEMPTS
from orchestration.definitions import JOB, build
from orchestration.environment import Environment, prepare_folders
from orchestration.ingest import PATIENCE_TAG
from orchestration.run import sandbox_running


@pytest.fixture
def environment(small_company: Revops, tmp_path: Path, load: Callable[..., Environment]) -> Environment:
    company = copied(small_company, tmp_path / "company")
    found = load(company.config, company.home)
    prepare_folders(found.home)
    return found


def loaded(
    environment: Environment, failing: dict[str, Any], tags: dict[str, str]
) -> dg.ExecuteInProcessResult:
    """A run of Stripe's load, with the sandbox failing so."""
    assert environment.config.sandbox is not None
    with sandbox_running(environment), dg.DagsterInstance.ephemeral() as instance:
        address = f"http://127.0.0.1:{environment.config.sandbox.port}/_sandbox/faults"
        requests.post(address, json={"path": "^/stripe/", **failing}, timeout=5).raise_for_status()
        job = build(environment).resolve_job_def(JOB)
        tables = {key for key in job.asset_layer.selected_asset_keys if key.path[0] == "raw_stripe"}
        return job.get_subset(asset_selection=tables).execute_in_process(
            instance=instance, tags=tags, raise_on_error=False
        )


def retries(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.is_step_up_for_retry for event in result.all_events)


def test_an_outage_that_passes_is_waited_for(environment: Environment) -> None:
    passing = {"kind": "500", "times": MAX_ATTEMPTS}
    result = loaded(environment, passing, {PATIENCE_TAG: "0.1 0.1"})
    assert result.success and retries(result) == 1


def test_who_runs_it_by_hand_is_told_at_once(environment: Environment) -> None:
    result = loaded(environment, {"kind": "500", "times": MAX_ATTEMPTS}, {})
    assert not result.success and retries(result) == 0


def test_a_wrong_key_is_not_tried_again(environment: Environment) -> None:
    result = loaded(environment, {"kind": "401"}, {PATIENCE_TAG: "0.1 0.1"})
    assert not result.success and retries(result) == 0
