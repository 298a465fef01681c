"""`revops ui`: Dagster's web page and its daemon, which runs the daily schedule; and the Data Docs."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from orchestration.dbt_manifest import build_manifest
from orchestration.environment import DOCS_ADDRESS, Environment, prepare_folders
from orchestration.lineage import build_lineage
from orchestration.run import sandbox_running
from settings.errors import UserError
from settings.paths import Home

#: Dagster's code servers end a moment after it does; longer than this and they are killed.
LAST_ENDS_SECONDS = 15.0


def serve(environment: Environment, port: int) -> None:
    """Serve until interrupted. Raises `UserError` if Dagster cannot start, for example on a taken port."""
    prepare_folders(environment.home)
    command = [sys.executable, "-m", "dagster", "dev", "--module-name", "orchestration.definitions"]
    with sandbox_running(environment), _serving_docs(environment.home) as address:
        build_manifest(environment)
        _prepare_lineage(environment)
        print(f"Gates' Data Docs: {address}", file=sys.stderr)
        dagster = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, DOCS_ADDRESS: address},
            start_new_session=True,  # an interrupt from the keyboard is for us; its processes are one group
        )
        try:
            code = dagster.wait()
        except KeyboardInterrupt:
            # It stops its web page, its daemon and the runs it started; killed, it would leave them behind.
            dagster.terminate()
            dagster.wait()
            code = 0
        finally:
            _wait_for_group(dagster.pid)
    if code:
        raise UserError(
            f"Dagster ended with code {code}; what it said is above. If port {port} is taken, choose "
            "another with --port"
        )


def _prepare_lineage(environment: Environment) -> None:
    """Columns show what they are made of. It takes some seconds after a change; the UI can do without."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Column lineage", total=None)
        try:
            coverage = build_lineage(
                environment, lambda done, of: progress.update(task, completed=done, total=of)
            )
        except UserError as exc:
            console.print(f"Columns will show no lineage: {exc}", markup=False, soft_wrap=True)
            return
    console.print(coverage.summary(), markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _serving_docs(home: Home) -> Iterator[str]:
    """The address at which the Data Docs can be read while in the block; a page may not link to a file."""
    home.data_docs.parent.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(_Quiet, directory=str(home.data_docs.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each page."""


def _wait_for_group(group: int) -> None:
    """Return when no process of the group is left."""
    deadline = time.monotonic() + LAST_ENDS_SECONDS
    try:
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
