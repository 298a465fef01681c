from __future__ import annotations

from collections.abc import Iterator

import pytest
from identity_company import IdentityCompany


@pytest.fixture(scope="session")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IdentityCompany]:
    """A company of files, and one dbt for all tests; `forget` makes it new."""
    with IdentityCompany(tmp_path_factory.mktemp("resolved")) as made:
        yield made
