from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt_alone import empty_warehouse
from filelock import FileLock
from identity_company import IdentityCompany


@pytest.fixture(scope="session")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityCompany]:
    """A company of files, and one dbt for all tests; `forget` makes it new."""
    with IdentityCompany(tmp_path_factory.mktemp("resolved")) as made:
        yield made


@pytest.fixture(scope="session")
def emptied(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A warehouse in which every model is a table without rows. All workers share it: copy it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "emptied"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            try:
                empty_warehouse(folder)
            except BaseException:
                shutil.rmtree(folder)
                raise
    return folder / "warehouse.duckdb"
