from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.environment import Environment, load_environment


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Environment]]:
    """Loads a configuration on a state folder of its own, as a command does, and leaves no trace of it."""
    before = dict(os.environ)

    def loaded(config: Path) -> Environment:
        os.environ["REVOPS_HOME"] = str(tmp_path_factory.mktemp("home"))
        return load_environment(config)

    yield loaded
    os.environ.clear()
    os.environ.update(before)
