"""The gates as assets: Great Expectations' verdicts become asset checks, their findings the gap register."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from expectations.catalogue import GATES, SAMPLE_COLUMNS, Gate
from expectations.engine import GateReport, GateResult
from orchestration import markdown
from orchestration.accepting import acceptance_of
from orchestration.catalogue import group, owners, tags
from orchestration.catalogue_models import source_columns
from orchestration.dbt_manifest import read_manifest
from orchestration.environment import DOCS_ADDRESS, Environment
from orchestration.gates_process import GATES as PROCESS
from orchestration.keys import REGISTER
from orchestration.steps import POOL, WRITER, instant_of
from settings.paths import Home


def build_assets(environment: Environment, models: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The register, which depends on all `models` the gates read, with one check a gate."""
    silos = set(environment.config.silos)
    gates = [gate for gate in GATES if silos.issuperset(gate.needs)]

    @dg.multi_asset(
        name="gates",
        specs=[
            dg.AssetSpec(
                REGISTER,
                deps=models,
                description="One row per gap ever found between the silos, with its whole life.",
                group_name=group("gaps"),
                owners=owners("revops"),
                tags=tags("gaps"),
                kinds={"greatexpectations", "duckdb"},
                metadata={
                    **_where_docs_are(),
                    **source_columns(read_manifest(environment.home), *REGISTER.path),
                },
            )
        ],
        check_specs=[_check(gate) for gate in gates],
        required_resource_keys={WRITER, PROCESS},
        pool=POOL,
    )
    def evaluate(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        instant = instant_of(context, environment)
        accepted = acceptance_of(context.run.tags)
        report = context.resources.gates.evaluate(environment, instant, accepted)
        write_verdict(environment.home, report, instant)
        yield dg.MaterializeResult(
            asset_key=REGISTER,
            metadata={
                "gaps found": sum(result.found for result in report.results),
                "KPIs": "held back" if report.held else "free",
                "Data Docs": dg.MetadataValue.path(str(environment.home.data_docs)),
            },
            check_results=[_result(result) for result in report.results],
        )

    return evaluate


def _where_docs_are() -> dict[str, Any]:
    """The Data Docs' address, where `revops ui` serves them."""
    address = os.environ.get(DOCS_ADDRESS)
    return {"Data Docs": dg.MetadataValue.url(address)} if address else {}


def _check(gate: Gate) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        gate.gap_type,
        asset=REGISTER,
        description=f"No {gate.what}: {gate.why}. {gate.severity}, for {gate.owner_team}: {gate.fix}.",
        metadata={"place": gate.place, "severity": gate.severity, "owner team": gate.owner_team},
    )


def _result(result: GateResult) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if result.severity == "critical" else dg.AssetCheckSeverity.WARN
    metadata: dict[str, Any] = {
        "found": result.found,
        "money at risk": float(result.money_at_risk),  # a number, so that the UI draws its history
        "holds KPIs back": result.holds,
        "owner team": result.owner_team,
        **({"first rows": dg.MetadataValue.md(_as_markdown(result.sample))} if result.sample else {}),
    }
    return dg.AssetCheckResult(
        check_name=result.gap_type,
        asset_key=REGISTER,
        passed=result.passed,
        severity=severity,
        description=result.message,
        metadata=metadata,
    )


def _as_markdown(rows: Sequence[Mapping[str, str | None]]) -> str:
    shown = [name for name in SAMPLE_COLUMNS if any(row[name] for row in rows)]
    return markdown.table(
        [SAMPLE_COLUMNS[name] for name in shown], ([row[name] for name in shown] for row in rows)
    )


def write_verdict(home: Home, report: GateReport, instant: datetime) -> None:
    """Keep the gates' last verdict, which publication asks for."""
    verdict = {
        "as_of": instant.isoformat(),
        "held": report.held,
        "gates": [
            {
                "gap_type": result.gap_type,
                "severity": result.severity,
                "found": result.found,
                "money_at_risk": str(result.money_at_risk),
                "holds": result.holds,
                "message": result.message,
            }
            for result in report.results
        ],
    }
    part = home.verdict.with_suffix(".json.part")
    part.write_text(json.dumps(verdict, indent=2), encoding="utf-8")
    os.replace(part, home.verdict)  # noqa: PTH105


def read_verdict(home: Home) -> dict[str, Any]:
    """The gates' last verdict."""
    verdict: dict[str, Any] = json.loads(home.verdict.read_text(encoding="utf-8"))
    return verdict
