"""`revops ui`: Dagster's web page and its daemon, which runs the daily schedule."""

from __future__ import annotations

import subprocess
import sys

from orchestration.dbt_manifest import build_manifest
from orchestration.environment import Environment, prepare_folders
from orchestration.run import sandbox_running
from settings.errors import UserError


def serve(environment: Environment, port: int) -> None:
    """Serve until interrupted. Raises `UserError` if Dagster cannot start, for example on a taken port."""
    prepare_folders(environment.home)
    command = [sys.executable, "-m", "dagster", "dev", "--module-name", "orchestration.definitions"]
    with sandbox_running(environment):
        build_manifest(environment)
        dagster = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)])
        try:
            code = dagster.wait()
        except KeyboardInterrupt:
            # It stops its web page, its daemon and the runs it started; killed, it would leave them behind.
            dagster.terminate()
            dagster.wait()
            return
    if code:
        raise UserError(
            f"Dagster ended with code {code}; what it said is above. If port {port} is taken, choose "
            "another with --port"
        )
