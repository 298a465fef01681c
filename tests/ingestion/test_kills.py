"""A load that is killed at any step loses and doubles nothing: the next ends as if nothing had been."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from revops import checksums
from serving import serving

from ingestion import changes, core, writing
from sandbox.server import app
from sandbox.simulation import START, simulate
from sandbox.world import World
from settings.config import SourceConfig
from settings.paths import Home
from settings.vendors import vendors

#: What says when something was loaded, rather than what.
WHEN_LOADED = "_dlt_id|_dlt_load_id|_loaded_at"
MONTHS = 5

#: Loads run in processes that begin with dlt already imported.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["ingestion.core", "test_kills"])


class Company:
    """A small company whose systems answer, at the end of its first months and a while later."""

    def __init__(self) -> None:
        end = START + timedelta(days=30 * MONTHS)
        self.early = simulate(size=25, months=MONTHS, now=end)
        self.late = simulate(size=25, months=MONTHS, now=end + timedelta(days=20))
        self.world: World = self.early
        self.address = ""

    def source(self, vendor: str) -> SourceConfig:
        address = f"{self.address}/{vendor}"
        return SourceConfig(name=vendor, silo=vendors()[vendor], type=vendor, base_url=address)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    found = Company()
    with serving(app(lambda: found.world)) as found.address:
        yield found


def load_in_steps(config: SourceConfig, as_of: datetime, root: Path, kill_at: int | None) -> None:
    """Load, and be killed before a step: a batch on its way, its normalization, its load, the end."""
    steps = 0

    def step(do: Callable[..., Any], *given: Any, **more: Any) -> Any:
        nonlocal steps
        steps += 1
        (root / "steps").write_text(str(steps))
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*given, **more)

    root.mkdir(parents=True, exist_ok=True)
    changes.drop_unchanged = partial(step, changes.drop_unchanged)
    writing.write = partial(step, writing.write)
    core._totals = partial(step, core._totals)
    core.load_source(config, as_of, Home(root))


def load(
    config: SourceConfig, as_of: datetime, root: Path, kill_at: int | None = None, loading: bool = False
) -> int:
    """Load in a process of its own; gives the steps it took. It must end as it is told to."""
    process = CONTEXT.Process(target=load_in_steps, args=(config, as_of, root, kill_at))
    process.start()
    if loading:
        jobs = root / "dlt" / f"revops_{config.name}" / "load" / "normalized"
        while process.is_alive() and not list(jobs.glob("*/started_jobs/*")):
            time.sleep(0.002)
        process.kill()
    process.join(120)
    assert process.exitcode == (-signal.SIGKILL if kill_at or loading else 0)
    return int((root / "steps").read_text())


def held(root: Path, vendor: str) -> dict[str, Any]:
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        return checksums(warehouse, f"raw_{vendor}", WHEN_LOADED)


@pytest.mark.parametrize("vendor", vendors())
def test_a_killed_load_is_made_good_by_the_next(vendor: str, company: Company, tmp_path: Path) -> None:
    config = company.source(vendor)
    company.world = company.early
    early = tmp_path / "early"
    steps = load(config, company.early.now, early)
    first = held(early, vendor)
    assert sum(rows for rows, _ in first.values()) > 50
    for kill in ({"kill_at": steps // 3}, {"kill_at": steps - 1}, {"loading": True}):
        root = tmp_path / "first"
        load(config, company.early.now, root, **kill)
        load(config, company.early.now, root)
        assert held(root, vendor) == first, kill
        shutil.rmtree(root)

    company.world = company.late
    late = tmp_path / "late"
    shutil.copytree(early, late)
    steps = load(config, company.late.now, late)
    second = held(late, vendor)
    assert second != first
    root = tmp_path / "second"
    shutil.copytree(early, root)
    load(config, company.late.now, root, kill_at=steps // 2)
    load(config, company.late.now, root)
    assert held(root, vendor) == second
