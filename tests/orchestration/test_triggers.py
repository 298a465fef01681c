"""What is stale is built by itself, whenever the daemon looks; what a run has built is not built again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg
import pytest
from revops import Revops, copied

from orchestration.definitions import build
from orchestration.environment import Environment
from orchestration.keys import raw_key
from orchestration.run import sandbox_running

MONTH = "2025-02-01"


@dataclass
class Watch:
    """A company as the daemon sees it: what it would start is said at each look."""

    revops: Revops
    environment: Environment
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursor: dg.AutomationConditionEvaluationState | None = None

    def look(self) -> set[str]:
        """The schemas whose assets are asked for, as of all that has ended since the last look."""
        found = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.cursor)
        self.cursor = found.cursor
        graph = self.definitions.resolve_asset_graph()
        return {key.path[0] for key in graph.get_all_asset_keys() if found.get_num_requested(key)}

    def record(self, *schemas: str) -> None:
        """All assets of these schemas are stored, as by a run."""
        for key in self.definitions.resolve_asset_graph().toposorted_asset_keys:
            if key.path[0] in schemas:
                self.instance.report_runless_asset_event(dg.AssetMaterialization(key))

    def backfill(self) -> None:
        """One month of opens is loaded again."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        one = job.get_subset(asset_selection={raw_key("mailshake", "opens")})
        with sandbox_running(self.environment):
            assert one.execute_in_process(instance=self.instance, partition_key=MONTH).success


@pytest.fixture(scope="module")
def watch(
    small_company: Revops, tmp_path_factory: pytest.TempPathFactory, load: Callable[..., Environment]
) -> Iterator[Watch]:
    company = copied(small_company, tmp_path_factory.mktemp("triggers") / "company")
    environment = load(company.config, company.home)
    with dg.DagsterInstance.from_config(str(company.home / "dagster")) as instance:
        found = Watch(company, environment, instance, build(environment))
        assert found.look() == set()
        yield found


def test_what_a_run_has_built_is_not_built_again(watch: Watch) -> None:
    watch.backfill()
    watch.revops("run", "--rebuild")
    assert watch.look() == set()


def test_what_is_made_of_a_month_loaded_again_is_built(watch: Watch) -> None:
    watch.backfill()
    assert watch.look() == set()
    assert watch.look() >= {"core", "gaps", "marts", "published", "kpis"}
    assert watch.look() == set()


def test_a_run_of_which_a_look_sees_only_half_is_not_followed_by_another(watch: Watch) -> None:
    watch.record("core", "gaps", "marts")
    assert watch.look() == set()
    watch.record("published", "kpis")
    assert watch.look() == watch.look() == set()


def test_what_no_run_goes_on_with_is_published(watch: Watch) -> None:
    watch.record("core", "gaps", "marts")
    assert watch.look() == set()
    assert watch.look() == {"published", "kpis"}


def test_a_backfill_right_after_a_run_is_seen(watch: Watch) -> None:
    watch.revops("run")
    watch.backfill()
    assert watch.look() == set()
    assert watch.look() >= {"core", "gaps", "marts", "published", "kpis"}
