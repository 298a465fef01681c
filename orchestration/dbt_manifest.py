"""dbt's manifest: what Dagster's graph is made of.

It depends on which sources are configured, so it is built before a run or the UI starts (`build_manifest`),
and only read when Dagster loads the code. Nothing here imports Dagster.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestration.dbt_variables import variables
from orchestration.environment import Environment
from settings.errors import UserError
from settings.paths import DBT_PROJECT, Home

#: The KPI definitions, beside the manifest.
KPIS = "kpis.json"


def manifest_file(home: Home) -> Path:
    """Where the manifest of the present configuration lies."""
    return home.dbt / "graph" / "manifest.json"


def build_manifest(environment: Environment) -> None:
    """Make the manifest what the dbt project and revops.toml say; costs nothing if it is so already."""
    fingerprint = _fingerprint(environment)
    manifest = manifest_file(environment.home)
    stamp = _stamp(environment.home)
    if manifest.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == fingerprint:
        return
    manifest.parent.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    given = json.dumps(variables(environment, None))
    command = [sys.executable, "-m", "orchestration.dbt_graph", given, str(manifest.parent)]
    done = subprocess.run(command, cwd=DBT_PROJECT, env=dbt_environment(), capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the dbt project cannot be read:\n{done.stdout.strip() or done.stderr.strip()}")
    stamp.write_text(fingerprint, encoding="utf-8")


def manifest_fingerprint(home: Home) -> str:
    """What the manifest was built of: the project's code, dbt's version and what revops.toml tells dbt."""
    return _stamp(home).read_text(encoding="utf-8")


def _stamp(home: Home) -> Path:
    return manifest_file(home).with_name("fingerprint")


def _fingerprint(environment: Environment) -> str:
    digest = hashlib.sha256(json.dumps(variables(environment, None), sort_keys=True).encode())
    digest.update(version("dbt-core").encode())
    for path in sorted(DBT_PROJECT.rglob("*")):
        if path.suffix in (".md", ".py", ".sql", ".yml"):
            digest.update(str(path.relative_to(DBT_PROJECT)).encode() + path.read_bytes())
    return digest.hexdigest()


def read_manifest(home: Home) -> dict[str, Any]:
    """What Dagster's graph is made of; nobody changes it. Raises `UserError` if it was not built."""
    path = manifest_file(home)
    if not path.exists():
        raise UserError(f"{path} does not exist. Start with `revops run` or `revops ui`, which build it")
    return _parsed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _parsed(path: Path, _written: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def kpi_definitions(environment: Environment) -> list[dict[str, Any]]:
    """Rows of `marts.kpi_definitions` in their order, of the KPIs that the configured silos give."""
    rows = json.loads(manifest_file(environment.home).with_name(KPIS).read_text(encoding="utf-8"))
    silos = {*environment.config.silos}
    found = [row for row in rows if silos.issuperset(row["silos"].split(", "))]
    return sorted(found, key=lambda row: row["position"])


def dbt_environment() -> dict[str, str]:
    """This process's environment, and where the project is."""
    return {**os.environ, "DBT_PROFILES_DIR": str(DBT_PROJECT), "DBT_PROJECT_DIR": str(DBT_PROJECT)}
