"""What tests of several folders share."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from filelock import FileLock
from revops import NOISY, PUBLISHED_ANYWAY, SMALL, Revops, sandbox_company
from serving import serving

from sandbox.server import app
from sandbox.world import World


@pytest.fixture
def sandbox_server() -> Iterator[Callable[[World], str]]:
    """Serves a world with the vendors' APIs, gives the address. What a test changes in it shows at once."""
    with contextlib.ExitStack() as servers:
        yield lambda world: servers.enter_context(serving(app(lambda: world)))


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Revops]:
    """Gives a sandbox company after its first run. All workers share it: read it, or copy it to write."""
    own = tmp_path_factory.getbasetemp()
    root = own if worker_id == "master" else own.parent

    def made(name: str, size: int, months: int, extra: str = "", **more: Any) -> Revops:
        folder = root / name
        with FileLock(folder.with_suffix(".lock")):
            if folder.exists():
                return Revops(folder / "home", folder / "revops.toml")
            revops = sandbox_company(folder, size, months, extra, **more)
            try:
                revops("run")
            except BaseException:
                shutil.rmtree(folder)
                raise
            return revops

    return made


@pytest.fixture(scope="session")
def small_company(run_once: Callable[..., Revops]) -> Revops:
    """40 companies, a year, no noise."""
    return run_once("small", **SMALL)


@pytest.fixture(scope="session")
def noisy_company(run_once: Callable[..., Revops]) -> Callable[[int], Revops]:
    """Gives the noisy company of a seed, published whatever the gates find."""
    return lambda seed: run_once(
        f"noisy {seed}", **NOISY[seed], extra=PUBLISHED_ANYWAY, seed=seed, noise=True
    )
