"""Everything Dagster sees: one graph from each system to the published marts, one job, one daily schedule."""

from __future__ import annotations

import dagster as dg

from orchestration import alerts, dbt, gates, ingest, publication
from orchestration.dbt_process import DBT, dbt_process
from orchestration.environment import Environment, load_environment
from orchestration.steps import WRITER, writer

JOB = "revenue_pipeline"


def build(environment: Environment) -> dg.Definitions:
    """The definitions of one configuration."""
    foundation, marts = dbt.build_assets(environment)
    read_by_gates = [key for key in foundation.keys if key.path[0] != "staging"]
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all(),
        description="Load every source, build the models, evaluate the gates, build and publish the marts.",
    )
    return dg.Definitions(
        assets=[
            *ingest.build_assets(environment),
            foundation,
            gates.build_assets(environment, sorted(read_by_gates)),
            marts,
            publication.build_assets(environment, sorted(marts.keys)),
        ],
        jobs=[job],
        schedules=[
            dg.ScheduleDefinition(
                name="daily",
                job=job,
                cron_schedule="0 5 * * *",
                execution_timezone=environment.config.company.timezone,
                default_status=dg.DefaultScheduleStatus.RUNNING,
            )
        ],
        sensors=alerts.sensors(environment),
        resources={WRITER: writer(environment), DBT: dbt_process(environment)},
        # One process: a step costs milliseconds, and the warehouse has one writer anyway.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What a code location loads; the configuration is that of REVOPS_CONFIG."""
    return build(load_environment())
