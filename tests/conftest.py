"""What tests of several folders share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from serving import serving

from sandbox.server import app
from sandbox.world import World


@pytest.fixture
def sandbox_server() -> Iterator[Callable[[World], str]]:
    """Serves a world with the vendors' APIs, gives the address. What a test changes in it shows at once."""
    with contextlib.ExitStack() as servers:
        yield lambda world: servers.enter_context(serving(app(lambda: world)))
