"""Publication as an asset, with a check whether a gate holds KPIs back, and each KPI as an asset too."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from orchestration import markdown, reading, screens
from orchestration.catalogue import DATA_ENGINEERING, group, owners, tags
from orchestration.dbt_manifest import kpi_definitions
from orchestration.environment import Environment
from orchestration.gates import read_verdict
from orchestration.keys import DEFINITIONS, PUBLISHED, VALUES, kpi_key
from orchestration.publish import publish
from orchestration.steps import POOL, WRITER, instant_of

PUBLISH = "publish"
CHECK = "published"
TRUSTED = "trusted"
#: Tag of the ten KPIs that are the first to be looked at.
HEADLINE = "revops/headline"
#: Of a KPI's history its asset shows so many months.
MONTHS = 12


def build_assets(environment: Environment, marts: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The published copy of `marts`, with a check that is red while a gate holds KPIs back, and the KPIs."""
    definitions = kpi_definitions(environment)

    @dg.multi_asset(
        name=PUBLISH,
        specs=[
            dg.AssetSpec(
                PUBLISHED,
                deps=marts,
                description=f"The marts that BI reads: {environment.home.marts / 'current.duckdb'}.",
                group_name=group("published"),
                owners=owners(DATA_ENGINEERING),
                tags=tags("published"),
                kinds={"duckdb", "parquet"},
            ),
            *map(_kpi, definitions),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK, asset=PUBLISHED, description="No gate holds KPIs at their last good value."
            ),
            *(
                dg.AssetCheckSpec(
                    TRUSTED,
                    asset=kpi_key(row["kpi"]),
                    description="No gate holds it at its last good value; a warning: gaps touch it.",
                )
                for row in definitions
            ),
        ],
        required_resource_keys={WRITER},
        pool=POOL,
    )
    def publish_marts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        done = publish(environment.home, instant_of(context, environment))
        holding = [gate["message"] for gate in read_verdict(environment.home)["gates"] if gate["holds"]]
        yield dg.MaterializeResult(
            asset_key=PUBLISHED,
            metadata={
                "rows": sum(done.rows.values()),
                "tables": len(done.rows),
                "database": str(done.database),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHECK,
                    asset_key=PUBLISHED,
                    passed=not holding,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description="; ".join(holding) or "published",
                )
            ],
        )
        values: dict[str, list[reading.Row]] = {}
        for row in reading.kpi_values(environment.home, None, None, "all"):
            values.setdefault(row["kpi"], []).append(row)
        for definition in definitions:
            yield _published(definition["kpi"], values.get(definition["kpi"], []))

    return publish_marts


def _kpi(definition: Mapping[str, Any]) -> dg.AssetSpec:
    facts = {
        "unit": definition["unit"],
        "better": definition["better"],
        "counts": definition["records"],
        "made of": definition["made_of"],
        "silos": definition["silos"],
        "policies": definition["policies"],
        "periods": definition["periods"],
        "segments": definition["segments"],
        "coverage": definition["coverage"],
    }
    lines = "\n".join(f"- {name}: {fact}" for name, fact in facts.items() if fact)
    name = definition["kpi"]
    return dg.AssetSpec(
        kpi_key(name),
        deps=[VALUES, DEFINITIONS],
        description=f"**{name.replace('_', ' ')}**: {definition['formula']}\n\n{lines}\n\n"
        f"`revops explain {name} --period ...` shows the records behind a figure.",
        group_name=group("kpis"),
        owners=owners(definition["owner_team"]),
        kinds={"kpi"},
        tags=tags("kpi") | ({HEADLINE: "yes"} if definition["is_headline"] else {}),
    )


def _published(kpi: str, rows: list[reading.Row]) -> dg.MaterializeResult:
    """A KPI's latest figures, as numbers that the UI draws over time, and its last months."""
    status = {row["gate_status"] for row in {row["period"]: row for row in rows}.values()}
    latest = {row["period"]: row for row in rows if row["value"] is not None}  # in the order of time
    metadata: dict[str, Any] = {"gates": ", ".join(sorted(status)) or "no figures"}
    for period, row in latest.items():
        metadata["since the beginning" if period == "all" else f"latest {period}"] = float(row["value"])
    shown = next((latest[period] for period in reading.PERIODS if period in latest), None)
    if shown is not None:
        for name in ("numerator", "denominator", "coverage"):
            if shown[name] is not None:
                metadata[name] = float(shown[name])
        history = [row for row in rows if row["period"] == shown["period"]][-MONTHS:]
        metadata["history"] = dg.MetadataValue.md(
            markdown.table(
                (shown["period"], kpi.replace("_", " "), "numerator", "denominator"),
                (
                    (
                        row["period_start"],
                        screens.figure(row["value"], row["unit"]),
                        row["numerator"],
                        row["denominator"],
                    )
                    for row in history
                ),
            )
        )
    return dg.MaterializeResult(
        asset_key=kpi_key(kpi),
        metadata=metadata,
        check_results=[
            dg.AssetCheckResult(
                check_name=TRUSTED,
                asset_key=kpi_key(kpi),
                passed="held" not in status,
                severity=dg.AssetCheckSeverity.ERROR,
                description=", ".join(sorted(status)) or "no figures",
            )
        ],
    )
