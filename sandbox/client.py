"""Finding a sandbox that runs, and running one in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from settings.errors import UserError

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0
ADVICE = "Stop it, or choose another port for the sandbox"


def is_running(base_url: str, timeout: float = ANSWER_SECONDS) -> dict[str, Any] | None:
    """What the sandbox at an address says of itself; None if nobody is there, an error if someone else is."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(base_url, timeout=timeout) as answer:
            found = json.load(answer)
    except (urllib.error.HTTPError, http.client.HTTPException, ValueError):
        found = None
    except OSError as exc:
        reason = getattr(exc, "reason", exc)
        if isinstance(reason, ConnectionRefusedError | ConnectionResetError):  # not there, or just leaving
            return None
        raise UserError(
            f"the program at {base_url} does not answer as the sandbox ({reason}). {ADVICE}"
        ) from exc
    if not isinstance(found, dict) or found.get("sandbox") != "revops":
        raise UserError(f"another program answers at {base_url}, not the sandbox. {ADVICE}")
    return found


@contextlib.contextmanager
def running(folder: Path, port: int) -> Iterator[str]:
    """The address of the folder's sandbox: the one that runs already, or one that runs until the exit.

    Raises `UserError` if it does not start, or if another program answers there.
    """
    with starting(folder, port) as answering:
        yield answering()


@contextlib.contextmanager
def starting(folder: Path, port: int) -> Iterator[Callable[[], str]]:
    """The same, for who has something else to do meanwhile: waits for it, and gives its address."""
    folder = folder.resolve()
    base_url = f"http://127.0.0.1:{port}"
    if _serves(base_url, folder):
        yield lambda: base_url
        return
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.server", "--folder", str(folder)),
                *("--port", str(port), "--parent", str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # an interrupt from the keyboard is for us; the child ends with us
        )

        def answering() -> str:
            deadline = time.monotonic() + START_SECONDS
            while not _serves(base_url, folder):
                if child.poll() is not None or time.monotonic() > deadline:
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip()
                    raise UserError(f"the sandbox did not start at {base_url}: {said or 'no answer in time'}")
                time.sleep(0.1)
            return base_url

        try:
            yield answering
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _serves(base_url: str, folder: Path) -> bool:
    found = is_running(base_url)
    if found is None:
        return False
    if found["home"] != str(folder):
        raise UserError(f"the sandbox of {found['home']} runs at {base_url}, not that of {folder}. {ADVICE}")
    return True
