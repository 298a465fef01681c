"""A company's KPIs built again from what is loaded, by other policies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from revops import Revops

from orchestration.gates import read_verdict
from settings.config import SILOS, Policies
from settings.paths import DBT_PROJECT, Home

#: What reads policies, and what between that and the KPIs reads it.
SELECTED = (
    *("core__subscription_stops+,+marts__kpi_values", "core__renewals+,+marts__kpi_values"),
    *("core__kpi_revenue_records", "core__kpi_records", "marts__kpi_policies"),
)


def rebuilt(revops: Revops, policies: Policies, folder: Path) -> Home:
    """A state folder in `folder` with a copy of a sandbox company's warehouse as these policies make it."""
    home = Home(folder)
    folder.mkdir(parents=True)
    shutil.copyfile(revops.home / "warehouse.duckdb", home.warehouse)
    given = {
        "as_of": read_verdict(Home(revops.home))["as_of"],
        "policies": policies.model_dump(mode="json"),
        "silos": list(SILOS),
    }
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors", "run"),
            *("--select", *SELECTED, "--vars", json.dumps(given)),
        ],
        cwd=DBT_PROJECT,
        env={
            **os.environ,
            "REVOPS_WAREHOUSE": str(home.warehouse),
            "DBT_TARGET_PATH": str(home.dbt),
            "DBT_LOG_PATH": str(home.dbt),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home
