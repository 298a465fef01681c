"""MetricFlow's own command on this machine's warehouse: the dbt project's metrics, by any dimension.

`mf` looks for a project beside a folder `target`; ours is in the state folder, which gets a folder of links.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from orchestration.dbt_manifest import dbt_environment
from orchestration.reading import open_warehouse
from settings.errors import UserError
from settings.paths import DBT_PROJECT, Home

#: Before each command `mf` asks a package registry for a newer release of itself; nothing here phones home.
QUIET = """
import update_checker
update_checker.UpdateChecker.check = lambda *_, **__: None
from dbt_metricflow.cli.main import cli
"""


def mf(home: Home, arguments: Sequence[str]) -> int:
    """Run `mf` with these arguments, talking to the terminal itself; gives its exit code."""
    command = [sys.executable, "-c", f"{QUIET}cli(prog_name='revops mf')", *arguments]
    return subprocess.run(command, env=mf_environment(home)).returncode


def mf_environment(home: Home) -> dict[str, str]:
    """What `mf` needs to find project and warehouse, which it only reads.

    Raises `UserError` where there is no warehouse or no metric yet, and during a run.
    """
    open_warehouse(home).close()
    if not (home.dbt / "semantic_manifest.json").exists():
        raise UserError(f"no metric is built in {home.dbt} yet. Run `revops run` first")
    project = home.dbt / "metricflow"
    project.mkdir(exist_ok=True)
    for name, target in (("dbt_project.yml", DBT_PROJECT / "dbt_project.yml"), ("target", home.dbt)):
        link = project / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return dbt_environment() | {
        "DBT_PROJECT_DIR": str(project),
        "REVOPS_WAREHOUSE": str(home.warehouse),
        "REVOPS_ACCESS_MODE": "read_only",
    }
