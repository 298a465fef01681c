"""The gates' own process: what goes wrong there is told here."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from revops import ROOT

from orchestration.environment import Environment, prepare_folders
from orchestration.gates_process import GatesProcess
from orchestration.run_log import LOG
from settings.errors import UserError

INSTANT = datetime(2026, 1, 15, tzinfo=UTC)


@pytest.fixture
def environment(load: Callable[[Path], Environment]) -> Environment:
    """Nothing is loaded yet."""
    found = load(ROOT / "revops.toml")
    prepare_folders(found.home)
    return found


@pytest.fixture
def process() -> Iterator[GatesProcess]:
    found = GatesProcess()
    yield found
    found.end()
    assert found.process.poll() is not None


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What goes into run.log."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    LOG.addHandler(handler)
    yield text
    LOG.removeHandler(handler)


def test_what_is_meant_for_the_user_reaches_him_as_it_is(
    environment: Environment, process: GatesProcess, said: io.StringIO
) -> None:
    environment.home.erased.parent.mkdir(parents=True, exist_ok=True)
    environment.home.erased.write_text("{}x", encoding="utf-8")
    with pytest.raises(UserError, match=r"does not say who was erased \(JSONDecodeError\)"):
        process.evaluate(environment, INSTANT, None)
    assert said.getvalue() == ""


def test_whatever_else_breaks_is_named_and_the_log_says_where(
    environment: Environment, process: GatesProcess, said: io.StringIO
) -> None:
    with pytest.raises(RuntimeError, match=r"^the gates could not be evaluated: .*Catalog Error"):
        process.evaluate(environment, INSTANT, None)
    assert "expectations/engine.py" in said.getvalue()


def test_a_process_that_was_killed_is_missed(environment: Environment, process: GatesProcess) -> None:
    process.start()
    process.process.kill()
    with pytest.raises(RuntimeError, match=r"the gates' process ended with -9 and no answer: no word"):
        process.evaluate(environment, INSTANT, None)
