"""A run's log: a JSON object a line, of the tools' output too."""

from __future__ import annotations

import errno
import io
import json
import logging
import logging.config
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from revops import Revops

from orchestration import run_log
from settings.paths import Home


def lines(home: Path) -> list[dict[str, Any]]:
    text = Home(home).run_log.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_says_what_it_does_step_by_step(small_company: Revops) -> None:
    found = lines(small_company.home)
    assert all(set(line) >= {"time", "level", "step", "message", "run_id"} for line in found)
    assert all(line["message"].strip() for line in found)
    (run_id,) = {line["run_id"] for line in found}
    assert len(run_id) == 36
    times = [datetime.fromisoformat(line["time"]) for line in found]
    assert times == sorted(times)
    steps = [line["step"] for line in found if line["message"] == f"{line['step']} starts"]
    assert set(steps) >= {"load_hubspot", "load_stripe", "models", "gates", "marts", "publish"}
    for step in steps:
        (end,) = [line for line in found if line["message"] == f"{step} ends"]
        assert end["seconds"] > 0 and end["step"] == step


def test_what_dbt_says_has_its_node_and_how_long_it_took(small_company: Revops) -> None:
    found = lines(small_company.home)
    (done,) = [line for line in found if line.get("node") == "marts__kpi_values" and "seconds" in line]
    assert done["step"] == "marts" and "OK created" in done["message"] and done["seconds"] > 0
    assert not any("\x1b" in line["message"] for line in found)


def test_what_is_printed_is_kept_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_log.captured(Home(tmp_path), "r1"):
        run_log.in_step("gates")
        print("half", end=" ")
        print("a line\r100 %")
        print('"quoted"\n\n', file=sys.stderr)
        run_log.LOG.error("%s failed", "it", extra={"seconds": 1.5})
        run_log.in_step(None)
        print("the end", end="")
    assert capsys.readouterr() == ("", "")
    print("afterwards")
    given = [
        {name: line[name] for name in line if name not in ("time", "run_id")} for line in lines(tmp_path)
    ]
    assert given == [
        {"level": "info", "step": "gates", "message": "half a line"},
        {"level": "info", "step": "gates", "message": "100 %"},
        {"level": "warning", "step": "gates", "message": '"quoted"'},
        {"level": "error", "step": "gates", "message": "it failed", "seconds": 1.5},
        {"level": "info", "step": None, "message": "the end"},
    ]


def test_without_a_screen_of_ours_it_is_said_as_plain_lines_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_log.written(Home(tmp_path), "r1"), run_log.written(Home(tmp_path), "r1"):
        run_log.LOG.info("models starts")
        print("a tool's own")
    assert capsys.readouterr().out == "models starts\na tool's own\n"
    assert [line["message"] for line in lines(tmp_path)] == ["models starts"]
    assert run_log.LOG.handlers == []


def test_it_goes_on_when_a_library_sets_up_logging_of_its_own(tmp_path: Path) -> None:
    with run_log.captured(Home(tmp_path), "r1"):
        print("before")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        print("after")
    assert [line["message"] for line in lines(tmp_path)] == ["before", "after"]


class _Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with run_log.captured(Home(tmp_path), "r1"):
        handler = run_log.LOG.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        file, handler.stream = handler.stream, _Full()
        print("lost")
        handler.stream = file
        print("found")
    assert [line["message"] for line in lines(tmp_path)] == ["found"]
