"""Publication as an asset, and as its check whether a gate holds KPIs at their last good value."""

from collections.abc import Iterator

import dagster as dg

from orchestration.catalogue import DATA_ENGINEERING, group, owners, tags
from orchestration.environment import Environment
from orchestration.gates import read_verdict
from orchestration.keys import PUBLISHED
from orchestration.publish import publish
from orchestration.steps import POOL, WRITER, instant_of

CHECK = "published"


def build_assets(environment: Environment, marts: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The published copy of `marts`. Its check is red while a gate holds KPIs back."""

    @dg.multi_asset(
        name="publish",
        specs=[
            dg.AssetSpec(
                PUBLISHED,
                deps=marts,
                description=f"The marts that BI reads: {environment.home.marts / 'current.duckdb'}.",
                group_name=group("published"),
                owners=owners(DATA_ENGINEERING),
                tags=tags("published"),
                kinds={"duckdb", "parquet"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CHECK, asset=PUBLISHED, description="No gate holds KPIs at their last good value."
            )
        ],
        required_resource_keys={WRITER},
        pool=POOL,
    )
    def publish_marts(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult]:
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
                    passed=not holding,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description="; ".join(holding) or "published",
                )
            ],
        )

    return publish_marts
