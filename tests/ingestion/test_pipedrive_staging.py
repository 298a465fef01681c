"""dbt's Pipedrive staging over a warehouse the connector loaded, against what the sandbox company knows."""

import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import requests
from serving import serving

from ingestion.core import load_source
from sandbox.api import pipedrive as api
from sandbox.api import pipedrive_shapes as shapes
from sandbox.server import app
from sandbox.simulation import simulate
from settings.config import SourceConfig
from settings.paths import Home

PROJECT = Path(__file__).parents[2] / "dbt_project"


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
    """A connection to the warehouse after a load and a dbt build of the staging models."""
    home = Home(tmp_path_factory.mktemp("pipedrive"))
    with serving(app(lambda: world)) as address:
        config = SourceConfig(name="crm_eu", silo="crm", type="pipedrive", base_url=f"{address}/pipedrive")
        closed_at = reopened.closed_at
        for days, body in enumerate(({"status": "open"}, {"stage_id": 3}, {"status": "won"}), 1):
            url = f"{config.base_url}/api/v2/deals/{reopened.id}"
            at = {"at": (closed_at + timedelta(days=days)).isoformat()}
            requests.patch(
                url, params=at, json=body, headers={"x-api-token": api.KEY}, timeout=5
            ).raise_for_status()
        load_source(config, world.now, home)
    with pytest.MonkeyPatch.context() as monkeypatch:
        build(home, world, monkeypatch)
    with duckdb.connect(str(home.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        yield warehouse


def build(home, world, monkeypatch):
    """`dbt build` of the vendor's models, their tests included, in a process of its own."""
    variables = {
        "as_of": world.now.isoformat(),
        "sources": [{"name": "crm_eu", "silo": "crm", "type": "pipedrive"}],
        "source_types": ["pipedrive"],
        "silos": ["crm"],
    }
    monkeypatch.setenv("REVOPS_WAREHOUSE", str(home.warehouse))
    monkeypatch.setenv("DBT_TARGET_PATH", str(home.root / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(home.root / "logs"))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet"]
    select = ["--select", "path:models/staging/pipedrive", "--vars", json.dumps(variables)]
    dbt = [sys.executable, "-m", "dbt.cli.main", "build", *places, *select]
    done = subprocess.run(dbt, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read(warehouse, model, columns, where="true"):
    place = warehouse.execute(
        "select schema_name from duckdb_views() where view_name = ?", [f"stg_pipedrive__{model}"]
    ).fetchone()[0]
    return warehouse.execute(
        f"select {columns} from {place}.stg_pipedrive__{model} where {where} order by all"
    ).fetchall()


def live(world):
    return [deal for deal in world.crm.deals if deal.archived_at is None]


def test_every_value_a_deal_had_and_since_when(staged, world, reopened):
    labels = {stage.id: stage.label for stage in world.crm.stages}
    named = dict(read(staged, "stages", "stage, label"))
    keys = {deal.id for deal in live(world)}
    columns = "opportunity_id, field, changed_at, new_value"
    found = [row for row in read(staged, "opportunity_history", columns) if row[0] in keys]

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
    assert read(staged, "opportunities", columns, "not is_deleted") == sorted(
        (
            *(d.id, d.company_id, outcomes[d.stage], d.deal_type, d.amount, chances[d.stage], d.closed_at),
            d.product,
        )
        for d in live(world)
    )
