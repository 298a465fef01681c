"""Publication as an asset: only when no gate holds it back."""

from collections.abc import Iterator

import dagster as dg

from orchestration.environment import Environment
from orchestration.gates import read_verdict
from orchestration.keys import PUBLISHED
from orchestration.publish import publish
from orchestration.steps import POOL, WRITER, instant_of

CHECK = "published"


def build_assets(environment: Environment, marts: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The published copy of `marts`. Held back, it is not materialized and its check is red."""

    @dg.multi_asset(
        name="publish",
        specs=[
            dg.AssetSpec(
                PUBLISHED,
                deps=marts,
                description=f"The marts that BI reads: {environment.home.marts / 'current.duckdb'}.",
                group_name="published",
                kinds={"duckdb", "parquet"},
                skippable=True,
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(CHECK, asset=PUBLISHED, description="No gate holds publication back.")
        ],
        required_resource_keys={WRITER},
        pool=POOL,
    )
    def publish_marts(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        holding = [gate["message"] for gate in read_verdict(environment.home)["gates"] if gate["holds"]]
        if not holding:
            done = publish(environment.home, instant_of(context, environment))
            yield dg.MaterializeResult(
                asset_key=PUBLISHED,
                metadata={
                    "rows": sum(done.rows.values()),
                    "tables": len(done.rows),
                    "database": str(done.database),
                },
            )
        yield dg.AssetCheckResult(
            check_name=CHECK,
            asset_key=PUBLISHED,
            passed=not holding,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(holding) or "published",
        )

    return publish_marts
