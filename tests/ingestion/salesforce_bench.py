"""The sandbox's Salesforce, served, and the warehouse a test loads it into."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from hubspot_portal import NOW, rows, small_world
from salesforce_org import Replaced  # type: ignore[import-not-found]
from serving import serving

from ingestion import salesforce
from ingestion.arrow import to_arrow
from ingestion.core import LoadReport, load_source
from ingestion.salesforce_tables import OBJECTS, TABLES
from sandbox.api import salesforce as api
from sandbox.api import salesforce_objects as objects
from sandbox.server import app
from sandbox.world import World
from settings.config import SourceConfig
from settings.paths import Home

HEADERS = {"Authorization": f"Bearer {api.SESSION}"}
DATA = "services/data/v62.0"


class Bench:
    """An organisation, and the warehouse it is loaded into."""

    def __init__(self, root: Path, address: str, world: World, served: Replaced, first: Path | None) -> None:
        self.home, self.address, self.world, self.served, self.first = (
            Home(root),
            address,
            world,
            served,
            first,
        )
        self.config = SourceConfig(
            name="salesforce", silo="crm", type="salesforce", base_url=f"{address}/salesforce"
        )

    def begin(self) -> None:
        """The warehouse as a first load leaves it."""
        assert self.first is not None
        shutil.copy(self.first, self.home.warehouse)

    def load(self, as_of: datetime = NOW) -> LoadReport:
        return load_source(self.config, as_of, self.home)

    def loaded(self, as_of: datetime = NOW) -> dict[str, int]:
        """Rows written by a load, for the tables that got any."""
        return {name: t.loaded for name, t in self.load(as_of).tables.items() if t.loaded}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.home.warehouse, query)

    def send(self, method: str, path: str, at: str = "2025-05-20T00:00:00+00:00", **fields: Any) -> None:
        requests.request(
            method,
            f"{self.config.base_url}/{DATA}/sobjects/{path}",
            params={"at": at},
            json=fields,
            headers=HEADERS,
            timeout=5,
        ).raise_for_status()

    def fault(self, kind: str, path: str = "queryAll", times: int | None = 1, **more: Any) -> None:
        body = {"path": path, "kind": kind, "times": times, **more}
        requests.post(f"{self.address}/_sandbox/faults", json=body, timeout=5).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.address}/_sandbox/faults", timeout=5).raise_for_status()

    def assert_same(self, purged: frozenset[str] = frozenset()) -> None:
        """Every table holds, row for row, what the organisation has."""
        view = objects.View(self.world)
        for name, spec in TABLES.items():
            its = OBJECTS[name]
            relations = {field.split(".")[0] for field in its.fields if "." in field}
            fields = [f for f in its.fields if f in objects.FIELDS[its.name]]
            shown = [objects.shown(view, its.name, r, fields) for r in objects.records(view, its.name)]
            wanted = to_arrow(name, spec.columns, [salesforce._row(record, relations) for record in shown])
            listed = ", ".join(f'"{c}"' for c in spec.columns)
            held = self.rows(f"select {listed} from raw_salesforce.{name}")
            expected = [tuple(row[c] for c in spec.columns) for row in wanted.to_pylist()]
            key = list(spec.columns).index("id")
            held = [row for row in held if row[key] not in purged]
            assert sorted(held, key=repr) == sorted(expected, key=repr), name


@contextlib.contextmanager
def served_bench(root: Path, first: Path | None = None) -> Iterator[Bench]:
    world = small_world()
    served = Replaced(app(lambda: world))
    with serving(served) as address:
        yield Bench(root, address, world, served, first)
