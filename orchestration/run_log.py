"""`run.log`: what a run does and what its tools say, a JSON object a line, whoever started the run.

Each has `time`, `level`, `step` (null between steps), `message` and `run_id`; what dbt says of a node has
`node` too, and of one that is done `seconds`, as the end of a step has.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

from settings.paths import Home

#: What a run says, by whatever module. Python's list of loggers does not have it: who sets up logging of his
#: own, as Dagster's storage does, silences all of these, and closes every file that a handler has opened.
LOG = logging.Logger("revops", logging.INFO)

_OF_NODES = ("node", "seconds")


class _JsonLines(logging.StreamHandler[TextIO]):
    """Writes records as JSON; knows which run and step they are of."""

    def __init__(self, file: TextIO, run_id: str) -> None:
        super().__init__(file)
        self.run_id = run_id
        self.step: str | None = None

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "step": self.step,
            "message": record.getMessage(),
            "run_id": self.run_id,
        }
        line |= {name: getattr(record, name) for name in _OF_NODES if hasattr(record, name)}
        return json.dumps(line, ensure_ascii=False)

    def handleError(self, record: logging.LogRecord) -> None:
        """Let the run go on: what it does matters more than what it says, as on a full disk."""


@contextlib.contextmanager
def written(home: Home, run_id: str) -> Iterator[None]:
    """Write the log while in the block, and say it as plain lines too, which Dagster shows beside the run.

    Where the log is being written already, as in `captured`, this does nothing.
    """
    if LOG.handlers:
        yield
        return
    with (
        home.run_log.open("w", encoding="utf-8") as file,
        _handled(_JsonLines(file, run_id)),
        _handled(logging.StreamHandler(sys.stdout)),
    ):
        yield


@contextlib.contextmanager
def captured(home: Home, run_id: str) -> Iterator[None]:
    """Write the log while in the block, and take into it what this process prints."""
    with (
        home.run_log.open("w", encoding="utf-8") as file,
        _handled(_JsonLines(file, run_id)),
        _Printed(logging.INFO) as out,
        _Printed(logging.WARNING) as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        yield


def in_step(step: str | None) -> None:
    """What is said from now on is of this step."""
    for handler in LOG.handlers:
        if isinstance(handler, _JsonLines):
            handler.step = step


@contextlib.contextmanager
def _handled(handler: logging.Handler) -> Iterator[None]:
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()


class _Printed(io.TextIOBase):
    """Makes records of lines that are printed."""

    def __init__(self, level: int) -> None:
        self._level, self._begun = level, ""

    def write(self, text: str) -> int:
        *lines, self._begun = re.split(r"[\r\n]", self._begun + text)
        for line in lines:
            self._say(line)
        return len(text)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self._say(self._begun)
        self._begun = ""
        super().close()

    def _say(self, line: str) -> None:
        if line.strip():
            LOG.log(self._level, "%s", line.rstrip())
