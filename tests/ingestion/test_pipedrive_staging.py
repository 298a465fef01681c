"""dbt's Pipedrive staging over a warehouse the connector loaded, against what the sandbox company knows."""

from datetime import timedelta
from decimal import Decimal

import pytest
from vendor_bench import build_staging, served, staging

from sandbox.api import pipedrive_shapes as shapes
from sandbox.simulation import simulate


@pytest.fixture(scope="module")
def world():
    return simulate(seed=11, months=8, size=25)


@pytest.fixture(scope="module")
def reopened(world):
    """A lost deal that will come back in another stage and be won."""
    stages = shapes.Stages(world)
    lost = [d for d in world.crm.deals if d.stage == "closedlost" and d.archived_at is None]
    return next(d for d in lost if stages.standing(d) != "demo")


@pytest.fixture(scope="module")
def staged(world, reopened, tmp_path_factory):
    """Reads the staging models after a load and a dbt build."""
    closed_at = reopened.closed_at
    with served("pipedrive", lambda: world, tmp_path_factory.mktemp("pipedrive")) as bench:
        for days, body in enumerate(({"status": "open"}, {"stage_id": 3}, {"status": "won"}), 1):
            at = (closed_at + timedelta(days=days)).isoformat()
            bench.send("PATCH", f"v2/deals/{reopened.id}", at, **body)
        bench.load()
    build_staging(bench.home, "pipedrive", "pipedrive", world.now)
    return staging(bench.home, "pipedrive")


def live(world):
    return [deal for deal in world.crm.deals if deal.archived_at is None]


def test_every_value_a_deal_had_and_since_when(staged, world, reopened):
    labels = {stage.id: stage.label for stage in world.crm.stages}
    named = dict(staged("stages", "stage, label"))
    keys = {deal.id for deal in live(world)}
    columns = "opportunity_id, field, changed_at, new_value"
    found = [row for row in staged("opportunity_history", columns) if row[0] in keys]

    # Of several changes in one second, the last.
    stages = {(key, at): named[value] for key, field, at, value in found if field == "stage"}
    assert stages == {(d.id, at): labels[v] for d in live(world) for at, v in d.history["stage"]}
    came_back = [label for (key, _), label in stages.items() if key == reopened.id][-4:]
    assert (came_back[0], came_back[2:]) == ("Closed lost", ["Demo", "Closed won"])

    for field in ("amount", "close_date", "owner_id", "forecast_category"):
        shown = Decimal if field == "amount" else str
        values = {(k, at): shown(v) for k, f, at, v in found if f == field and k != reopened.id}
        assert values == {
            (d.id, at): shown(v)
            for d in live(world)
            for at, v in d.history.get(field, [])
            if v is not None and d is not reopened
        }


def test_deals_as_they_are(staged, world):
    outcomes = {s.id: s.outcome for s in world.crm.stages}
    chances = {s.id: s.probability for s in world.crm.stages}
    columns = "opportunity_id, account_id, outcome, opportunity_type, amount, probability, closed_at, product"
    assert staged("opportunities", columns, "not is_deleted") == sorted(
        (
            *(d.id, d.company_id, outcomes[d.stage], d.deal_type, d.amount, chances[d.stage], d.closed_at),
            d.product,
        )
        for d in live(world)
    )
