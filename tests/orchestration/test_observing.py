"""What is kept of a run in which steps fail, are tried again and are never begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from revops import ROOT

from orchestration.environment import Environment, prepare_folders
from orchestration.observing import observed
from settings.errors import UserError


@pytest.fixture(scope="module")
def environment(load: Callable[[Path], Environment]) -> Environment:
    """After a run of four steps: one is good, one at its second try, one never, and one waits for that."""
    environment = load(ROOT / "revops.toml")
    prepare_folders(environment.home)
    tries: list[int] = []

    @dg.resource
    def writer(context: dg.InitResourceContext) -> Iterator[None]:
        assert context.instance is not None and context.run_id is not None
        with observed(environment, context.instance, context.run_id):
            yield

    @dg.op(required_resource_keys={"writer"})
    def good() -> None:
        pass

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
    def at_last() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("no answer")

    @dg.op
    def bad() -> int:
        try:
            raise ConnectionError("what the vendor said")
        except ConnectionError as exc:
            raise UserError("the key is wrong: give another") from exc

    @dg.op
    def waits(what: int) -> None:
        pass

    @dg.job(resource_defs={"writer": writer}, executor_def=dg.in_process_executor)
    def job() -> None:
        good()
        at_last()
        waits(bad())

    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(instance=instance, raise_on_error=False)
    return environment


def test_the_log_says_what_failed_why_and_what_is_tried_again(environment: Environment) -> None:
    text = environment.home.run_log.read_text(encoding="utf-8")
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert [line["message"] for line in lines if line["step"] == "good"] == ["good starts", "good ends"]
    (_, again, _, end) = [line for line in lines if line["step"] == "at_last"]
    assert again["level"] == "warning" and "will be tried again" in again["message"]
    assert "no answer" in again["message"]
    assert end["message"] == "at_last ends"
    (_, failed) = [line for line in lines if line["step"] == "bad"]
    assert failed["message"] == "bad failed: the key is wrong: give another"
    assert failed["level"] == "error" and failed["seconds"] >= 0
    assert "what the vendor said" not in text


def test_metrics_say_which_steps_failed(environment: Environment) -> None:
    text = environment.home.metrics.read_text(encoding="utf-8")
    failed = {
        sample.labels["step"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "revops_step_failed"
    }
    assert failed == {"good": 0, "at_last": 0, "bad": 1}


def test_metrics_that_cannot_be_written_fail_no_run(environment: Environment) -> None:
    environment.home.metrics.unlink()
    environment.home.metrics.parent.rmdir()
    environment.home.metrics.parent.write_text("in the way", encoding="utf-8")
    with dg.DagsterInstance.ephemeral() as instance, observed(environment, instance, "r2"):
        pass
    (line,) = environment.home.run_log.read_text(encoding="utf-8").splitlines()
    assert "was not written" in json.loads(line)["message"]
