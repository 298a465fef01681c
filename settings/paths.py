"""Where state lives: everything under one folder, `REVOPS_HOME`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

#: The checkout: the dbt project and the packages lie beside each other in it.
PROJECT = Path(__file__).parent.parent
DBT_PROJECT = PROJECT / "dbt_project"


@dataclass(frozen=True)
class Home:
    """The state folder's layout."""

    root: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`REVOPS_HOME`, or `.revops` where the command runs."""
        return cls(Path(os.environ.get("REVOPS_HOME") or ".revops").expanduser().resolve())

    @property
    def warehouse(self) -> Path:
        """The pipeline's database; one writer at a time, never opened by BI."""
        return self.root / "warehouse.duckdb"

    @property
    def dlt(self) -> Path:
        """dlt's working folders."""
        return self.root / "dlt"

    @property
    def dbt(self) -> Path:
        """dbt's target and logs, and the manifest that Dagster's graph is made of."""
        return self.root / "dbt"

    @property
    def built(self) -> Path:
        """What each of dbt's models was built of last."""
        return self.dbt / "built.json"

    @property
    def dagster(self) -> Path:
        """Dagster's storage (DAGSTER_HOME)."""
        return self.root / "dagster"

    @property
    def sandbox(self) -> Path:
        """The fictional company's clock and files."""
        return self.root / "sandbox"

    @property
    def register(self) -> Path:
        """The gap register as of the last run, published or held."""
        return self.root / "gaps.parquet"

    @property
    def verdict(self) -> Path:
        """What the gates said last: whether they hold KPIs back, and why."""
        return self.root / "verdict.json"

    @property
    def docs(self) -> Path:
        """What Great Expectations tells of the gates: the pages in `data_docs`, out of `validations`."""
        return self.root / "docs"

    @property
    def data_docs(self) -> Path:
        """The first of these pages."""
        return self.docs / "data_docs" / "index.html"

    def loaded(self, source: str) -> Path:
        """A file whose time is that of the source's last good load, whether it brought anything or not."""
        return self.root / "loaded" / source

    @property
    def erased(self) -> Path:
        """Who was erased, by a keyed hash of the address, and the key."""
        return self.root / "erased.json"

    @property
    def quarantine(self) -> Path:
        """Rows that stopped a load, by source and table, until the source loads again."""
        return self.root / "quarantine"

    @property
    def digests(self) -> Path:
        """The teams' digests, a folder a week."""
        return self.root / "digest"

    @property
    def lock(self) -> Path:
        """Held by whoever writes."""
        return self.root / "run.lock"

    @property
    def marts(self) -> Path:
        """Published marts: `current.duckdb`, `parquet` and the versions they point to."""
        return self.root / "marts"
