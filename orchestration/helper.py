"""Processes of a run that start before they are needed: they import while others work, and end with it.

Python runs one thread at a time, so what takes seconds to import delays a run less in a process of its own.
"""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Self

#: When Python looks for garbage among objects new, older and old: as it does by itself, but for the old ones.
#: Its own 10 is a walk over all that lasts, again and again while a program like ours imports and parses.
_THRESHOLDS = (700, 10, 1000)


class Helper:
    """A Python module in a process of its own, that is spoken to by its standard input and output."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        cwd: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """In: where it works, and its environment variables, if not as of this process."""
        self._command = [sys.executable, "-m", module, *arguments]
        self._cwd = cwd
        self._environment = environment

    def start(self) -> None:
        """Let it import, while others work; without this it begins when it is first spoken to."""
        self.process  # noqa: B018

    @cached_property
    def process(self) -> subprocess.Popen[bytes]:
        """The process, with its pipes."""
        return subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env={**self._environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for the run, which then ends its helpers
        )

    @contextmanager
    def likely_needed(self, likely: bool) -> Iterator[Self]:
        """Start it now if its time is `likely` to come; it ends with the block, started or not."""
        if likely:
            self.start()
        try:
            yield self
        finally:
            self.end()

    def end(self) -> None:
        """Let it go, whatever it is doing: it must not write once the run is over."""
        if "process" not in vars(self):
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def end_with_parent() -> None:
    """For the helper: end with whoever started it. Were that killed, nobody would know we still write."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def collect_seldom() -> None:
    """Let this process look for old garbage seldom, and not at its end; else that is a tenth of a run."""
    gc.set_threshold(*_THRESHOLDS)
    atexit.register(gc.freeze)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
