"""What a run needs around it: the configuration, the state folder, and the settings of the tools underneath.

Everything the tools read from the environment is set here and nowhere else; their telemetry is off.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from settings.config import Config, config_path, load_config
from settings.errors import UserError
from settings.paths import PROJECT, Home

QUIET = {
    "DAGSTER_TELEMETRY_DISABLED": "yes",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}

#: Environment variable in which `revops ui` says where it serves the Data Docs.
DOCS_ADDRESS = "REVOPS_DATA_DOCS"

#: Environment variable that names another instance file than the project's dagster.yaml.
INSTANCE_FILE = "REVOPS_DAGSTER_YAML"

#: A run writes a new copy of the marts beside the old ones; less space than this and it does not begin.
MIN_FREE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class Environment:
    """One configuration on one state folder."""

    config: Config
    home: Home


def load_environment(config: Path | None = None) -> Environment:
    """Read the configuration and make it the one of this process and its children.

    Raises `UserError` if revops.toml cannot be used.
    """
    home = Home.from_environment()
    loaded = load_config(config_path(config))
    os.environ.update(
        QUIET,
        REVOPS_CONFIG=str(loaded.path),
        REVOPS_HOME=str(home.root),
        REVOPS_WAREHOUSE=str(home.warehouse),
        REVOPS_EVENT_LOG=str(home.dagster / "history" / "runs"),
        DAGSTER_HOME=str(home.dagster),
        DAGSTER_EVENT_BATCH_SIZE="1000",  # what a run intends to do is stored at once
        DBT_TARGET_PATH=str(home.dbt),
        DBT_LOG_PATH=str(home.dbt),
    )
    return Environment(loaded, home)


def prepare_folders(home: Home) -> None:
    """Make the state folder ready to be written to, with the instance file that Dagster reads there.

    Raises `UserError` if it cannot be, or is full, or if a deployment's own instance file is not there.
    """
    instance_file = _instance_file()
    try:
        for folder in (home.root, home.dagster, home.dbt, home.marts):
            folder.mkdir(parents=True, exist_ok=True)
        _replace(home.dagster / "dagster.yaml", instance_file)
        free = shutil.disk_usage(home.root).free
    except OSError as exc:
        raise UserError(
            f"{exc.filename or home.root} cannot be written: {exc.strerror}. "
            "Free the path, or name another folder with REVOPS_HOME"
        ) from None
    needed = MIN_FREE_BYTES
    if home.warehouse.exists():
        needed += home.warehouse.stat().st_size
    if free < needed:
        raise UserError(
            f"{home.root} has {free // 2**20} MB left and a run needs {needed // 2**20} MB. Nothing was "
            "changed; free space, or name a folder on another disk with REVOPS_HOME"
        )


def _instance_file() -> bytes:
    named = os.environ.get(INSTANCE_FILE)
    path = Path(named).expanduser() if named else PROJECT / "dagster.yaml"
    try:
        return path.read_bytes()
    except OSError as exc:
        raise UserError(
            f"{INSTANCE_FILE} = {named}: the file cannot be read: {exc.strerror}. Correct the path, or unset "
            "the variable for the project's own dagster.yaml"
        ) from None


def _replace(file: Path, content: bytes) -> None:
    """Write a file that processes may be reading, unless it says so already."""
    if not file.exists() or file.read_bytes() != content:
        part = file.with_suffix(".part")
        part.write_bytes(content)
        os.replace(part, file)  # noqa: PTH105
