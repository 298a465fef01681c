"""Everything Dagster sees: one graph from each system to the published KPIs, and when what of it runs."""

from __future__ import annotations

import dagster as dg

from orchestration import alerts, dbt, gates, ingest, publication, triggers
from orchestration.dbt_process import DBT, dbt_process
from orchestration.environment import Environment, load_environment
from orchestration.gates_process import GATES, gates_process
from orchestration.helper import collect_seldom
from orchestration.steps import WRITER, writer
from orchestration.triggers import JOB

__all__ = ["JOB", "build", "defs"]


def build(environment: Environment) -> dg.Definitions:
    """The definitions of one configuration."""
    foundation, marts = dbt.build_assets(environment)
    read_by_gates = [key for key in foundation.keys if key.path[0] != "staging"]
    made = [
        foundation,
        gates.build_assets(environment, sorted(read_by_gates)),
        marts,
        publication.build_assets(environment, sorted(marts.keys)),
    ]
    return dg.Definitions(
        assets=[*ingest.build_assets(environment), *map(triggers.when_stale, made)],
        jobs=triggers.jobs(environment),
        schedules=triggers.schedules(environment),
        sensors=[*triggers.sensors(environment), *alerts.sensors(environment)],
        resources={
            WRITER: writer(environment),
            DBT: dbt_process(environment),
            GATES: gates_process(environment),
        },
        # One process: a step costs milliseconds, and the warehouse has one writer anyway. A load that failed
        # has yielded what was there before, and what depends on it goes on with that.
        executor=dg.in_process_executor.configured(
            {"step_dependency_config": {"require_upstream_step_success": False}}
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What a code location loads; the configuration is that of REVOPS_CONFIG."""
    collect_seldom()
    return build(load_environment())
