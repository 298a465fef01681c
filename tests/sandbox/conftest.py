"""The default world of three seeds, without noise, and the ledger of each, made once."""

import pytest

from sandbox.ledger import Ledger
from sandbox.simulation import simulate
from sandbox.world import World


@pytest.fixture(scope="session", params=[7, 11, 23])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return Ledger(simulate(request.param, noise=False))


@pytest.fixture(scope="session")
def world(ledger: Ledger) -> World:
    return ledger.world
