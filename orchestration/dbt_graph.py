"""Parses the dbt project into a folder, and writes its KPI definitions there as JSON rows.

In: the variables as JSON and the folder, as arguments. A process of its own: dbt keeps much in globals, and
only a new or changed project needs it. No warehouse is opened or made.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import duckdb
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from orchestration.dbt_manifest import KPIS

_DEFINITIONS = Path("compiled", "revops_warehouse", "models", "marts", "kpis", "marts__kpi_definitions.sql")


def main() -> int:
    """0, or 1 if dbt has said what is wrong with the project."""
    given, folder = sys.argv[1], Path(sys.argv[2])
    paths = ["--vars", given, "--target-path", str(folder), "--log-path", str(folder)]
    quiet = ["--no-use-colors", "--log-level", "error"]
    parsed = dbtRunner().invoke([*quiet, "parse", "--no-partial-parse", *paths])
    if not isinstance(parsed.result, Manifest):
        return 1
    os.environ["REVOPS_WAREHOUSE"] = (
        ":memory:"  # compiling opens it; runs find the parse of their own profile
    )
    chosen = ["--no-write-json", "--select", "marts__kpi_definitions"]
    if not dbtRunner(manifest=parsed.result).invoke([*quiet, "compile", *chosen, *paths]).success:
        return 1
    with duckdb.connect() as connection:
        result = connection.execute((folder / _DEFINITIONS).read_text(encoding="utf-8"))
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    (folder / KPIS).write_text(json.dumps(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
