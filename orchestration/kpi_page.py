"""The KPI dictionary as a page, `docs/kpis.md`, and as dbt's own docs, out of the models that define it.

`python -m orchestration.kpi_page` writes both; a test compares them with what is committed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb

from orchestration.dbt_manifest import dbt_environment
from orchestration.reading import Row, rows_of
from settings.paths import DBT_PROJECT, PROJECT

PAGE = PROJECT / "docs" / "kpis.md"
MODELS = Path("models") / "marts" / "kpis"
#: Doc blocks: the dictionary is the first page of dbt's docs, and each KPI's formula describes its metric.
DBT_DOCS = DBT_PROJECT / MODELS / "kpis.md"


def pages() -> dict[Path, str]:
    """Both files' paths and texts, of the models as they are and the default policies."""
    with tempfile.TemporaryDirectory() as folder:
        given = json.dumps({"currency": "money"})
        command = [
            *(sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors", "compile"),
            *("--select", "marts__kpi_definitions", "marts__kpi_policies", "--vars", given),
            *("--target-path", folder, "--log-path", folder),
        ]
        done = subprocess.run(
            command,
            cwd=DBT_PROJECT,
            env=dbt_environment() | {"REVOPS_WAREHOUSE": str(Path(folder) / "warehouse.duckdb")},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"dbt compile failed:\n{done.stdout}{done.stderr}")
        compiled = Path(folder) / "compiled" / "revops_warehouse" / MODELS
        with duckdb.connect() as connection:
            definitions, policies = (
                rows_of(connection, (compiled / f"marts__{name}.sql").read_text(encoding="utf-8"))
                for name in ("kpi_definitions", "kpi_policies")
            )
    text = page(sorted(definitions, key=lambda row: row["position"]), policies)
    return {PAGE: text, DBT_DOCS: _blocks(text, definitions)}


def page(definitions: list[Row], policies: list[Row]) -> str:
    """The dictionary of KPIs in the order of their positions; money is in the reporting currency."""
    lines = [
        *("# KPI dictionary", ""),
        "Every number has one definition, and it is this one: `marts.kpi_definitions` and"
        " `marts.kpi_policies` say the same beside the figures, and `revops explain <kpi> --period 2026-Q3`"
        " shows what one is made of. The ten headline KPIs are in bold. Money is in the reporting currency.",
        *("", "| KPI | formula | unit |", "|---|---|---|"),
    ]
    for row in definitions:
        mark = "**" if row["is_headline"] else ""
        lines.append(
            f"| {mark}[{row['kpi']}](#{row['kpi']}){mark} | {_cell(row['formula'])} | {row['unit']} |"
        )
    lines += ["", "## Policies", "", "| policy | about | rule | settings and defaults |", "|---|---|---|---|"]
    for row in policies:
        settings = f"`{row['settings']}`" if row["settings"] else "fixed"
        lines.append(f"| {row['policy']} | {row['subject']} | {_cell(row['rule'])} | {settings} |")
    lines += ["", "## The KPIs", ""]
    for row in definitions:
        made_of = f"{row['made_of']}; no sum over records" if row["made_of"] else None
        facts = {
            "unit": f"{row['unit']}, better {row['better']}",
            "owner": row["owner_team"],
            "counts": None if made_of else row["records"],
            "made of": made_of,
            "silos": row["silos"],
            "policies": row["policies"],
            "periods": row["periods"],
            "segments": row["segments"],
            "coverage": row["coverage"],
        }
        lines += [f"### {row['kpi']}", "", row["formula"], ""]
        lines += [f"- {name}: {fact}" for name, fact in facts.items() if fact]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _blocks(text: str, definitions: list[Row]) -> str:
    blocks = {"__overview__": text.strip(), **{row["kpi"]: row["formula"] for row in definitions}}
    return (
        "\n\n".join(f"{{% docs {name} %}}\n{body}\n{{% enddocs %}}" for name, body in blocks.items()) + "\n"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write both files."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
