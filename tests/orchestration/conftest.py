from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestration.environment import Environment, load_environment


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Environment]]:
    """Loads a configuration as a command does, and leaves no trace; with no state folder, on a new one."""
    before = dict(os.environ)

    def loaded(config: Path, home: Path | None = None) -> Environment:
        os.environ["REVOPS_HOME"] = str(home or tmp_path_factory.mktemp("home"))
        return load_environment(config)

    yield loaded
    os.environ.clear()
    os.environ.update(before)
