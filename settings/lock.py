"""One writer at a time on a state folder, across processes, whoever starts the run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from settings.errors import UserError
from settings.paths import Home


@contextmanager
def run_lock(home: Home, holder: str, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the folder's lock while in the block; a process that holds it may enter again.

    In: `holder`, what the others shall be told is running; `wait_seconds`, how long to wait for another
    process that holds it. Raises `UserError` if it still does then; the operating system frees the lock when
    a holder dies.
    """
    home.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home.lock, timeout=0, thread_local=False, is_singleton=True)
    note = home.lock.with_suffix(".holder")
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        raise UserError(
            f"another run is writing to {home.root}: {_described(note)}. "
            "Wait until it is done, or give this run another REVOPS_HOME"
        ) from None
    outermost = lock.lock_counter == 1
    try:
        if outermost:
            started = datetime.now(UTC).isoformat(timespec="seconds")
            note.write_text(json.dumps({"holder": holder, "pid": os.getpid(), "since": started}))
        yield
    finally:
        if outermost:
            note.unlink(missing_ok=True)
        lock.release()


def _described(note: Path) -> str:
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return f"{known['holder']} (process {known['pid']}), since {known['since']}"
    except (OSError, ValueError, KeyError):
        return "a process that has only just started"
