from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from settings.errors import UserError
from settings.lock import run_lock
from settings.paths import Home

HOLD = """
import sys, time
from pathlib import Path
from settings.lock import run_lock
from settings.paths import Home
with run_lock(Home(Path(sys.argv[1])), "the nightly run"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def held_elsewhere(home: Home) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock; it is killed at the end."""
    command = [sys.executable, "-c", HOLD, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with held_elsewhere(home) as holder, pytest.raises(UserError) as caught, run_lock(home, "revops run"):
        pass
    said = str(caught.value)
    assert said.startswith(f"another run is writing to {home.root}: the nightly run (process {holder.pid})")
    assert said.endswith("Wait until it is done, or give this run another REVOPS_HOME")


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with held_elsewhere(home):
        pass
    with run_lock(home, "revops run"):
        pass


def test_a_process_that_holds_it_may_enter_again_and_keeps_it_until_the_outermost_end(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with run_lock(home, "revops run"):
        with run_lock(home, "a step"):
            pass
        tried = subprocess.run([sys.executable, "-c", HOLD, home.root], capture_output=True, text=True)
        assert f"revops run (process {os.getpid()})" in tried.stderr
    with held_elsewhere(home):
        pass


def test_it_is_free_after_a_failure_inside(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(ZeroDivisionError), run_lock(home, "revops run"):
        _ = 1 / 0
    with held_elsewhere(home):
        pass
