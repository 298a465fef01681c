"""`revops run` on the screen: progress while it runs, then what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from orchestration import reading, screens
from orchestration.environment import Environment
from orchestration.run import RunReport, run
from orchestration.scope import Scope


def run_watched(
    environment: Environment, console: Console, scope: Scope | None, tags: Mapping[str, str]
) -> RunReport:
    """Run the pipeline as `orchestration.run` does, with a progress bar a step."""
    with screens.progress(console) as tell:
        return run(environment, tell, scope, tags)


def show(environment: Environment, report: RunReport, console: Console) -> None:
    """Rows per source, gaps by severity, the headline KPIs, where the marts are."""
    if not console.is_terminal:
        console = Console(width=200)
    if report.sources:
        console.print(screens.loaded(report.sources))
    if not report.is_published:
        return
    console.print(screens.gaps_by_severity(report.gates))
    current = environment.home.marts / "current.duckdb"
    if report.holding:
        held = ", ".join(reading.held_kpis(environment.home))
        said = "[bold red]Held at their last good value, as not to be trusted now:[/bold red]"
        console.print(said, held, soft_wrap=True)
        for message in report.holding:
            console.print(f"  {message}", markup=False)
    title = f"{environment.config.company.name}, as of {report.as_of}"
    console.print(screens.kpis(_headline_rows(environment), title))
    console.print(f"Marts: {current}", soft_wrap=True)
    console.print(f"       {environment.home.marts / 'parquet'}", soft_wrap=True)
    console.print(f"Gates: {environment.home.data_docs}", soft_wrap=True)
    console.print(f"Done in {report.seconds:.0f} s. Open gaps: revops gaps. All KPIs: revops kpis.")


def summary(environment: Environment, report: RunReport) -> dict[str, Any]:
    """The same for programs."""
    return {
        "status": report.status,
        "as_of": report.as_of,
        "seconds": round(report.seconds, 1),
        "sources": report.sources,
        "gates": report.gates,
        "warnings": report.warnings,
        "errors": report.errors,
        "kpis": _headline_rows(environment) if report.is_published else [],
        "held": reading.held_kpis(environment.home) if report.holding else [],
        "marts": str(environment.home.marts / "current.duckdb"),
        "data_docs": str(environment.home.data_docs),
        "parquet": str(environment.home.marts / "parquet"),
    }


def _headline_rows(environment: Environment) -> list[reading.Row]:
    shown = set(reading.headlines(environment.home))
    return [row for row in reading.kpi_values(environment.home, None, None, "all") if row["kpi"] in shown]
