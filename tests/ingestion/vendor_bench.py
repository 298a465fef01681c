"""A vendor's API over a small world, served by the sandbox, and the warehouse its source is loaded into."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import duckdb
import pytest
import requests
from serving import serving
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ingestion.core import LoadReport, load_source
from sandbox.server import VENDORS, app
from sandbox.world import World
from settings.config import SourceConfig
from settings.paths import DBT_PROJECT, Home
from settings.vendors import vendors

#: Where the paths of a vendor's API begin.
PREFIX = {
    "hubspot": "crm",
    "salesforce": "services/data/v62.0",
    "pipedrive": "api",
    "mailshake": "2017-04-01",
    "stripe": "v1",
    "chargebee": "api/v2",
}
#: When what is done to a CRM's records through its API happened, unless a test says otherwise.
MAY_20 = "2025-05-20T00:00:00+00:00"


class Served:
    """An application; `answers` are given instead of its own, in turn, to paths that contain the text.

    What was `asked` of it, and at which `moments`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.answers: list[tuple[str, Response]] = []
        self.asked: list[str] = []
        self.moments: list[float] = []
        self._awaited: tuple[str, Callable[[], object]] | None = None
        self._due: Callable[[], object] | None = None

    def after(self, pattern: str, happens: Callable[[], object]) -> None:
        """Let something happen between the first answer to an address that matches and the next question."""
        self._awaited = pattern, happens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if not path.startswith("/_sandbox"):
            address = f"{path}?{unquote_plus(scope['query_string'].decode())}".rstrip("?")
            self.asked.append(address)
            self.moments.append(time.monotonic())
            if self._due is not None:
                happens, self._due = self._due, None
                happens()
            if self._awaited is not None and re.search(self._awaited[0], address):
                self._due, self._awaited = self._awaited[1], None
        for place, (text, answer) in enumerate(self.answers):
            if text in path:
                del self.answers[place]
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Bench:
    """A vendor's API, and the warehouse it is loaded into."""

    def __init__(
        self, vendor: str, build: Callable[[], World], world: World, served: Served, address: str, root: Path
    ) -> None:
        self.vendor, self.build, self.world, self.served = vendor, build, world, served
        self.address, self.home = address, Home(root)
        self.config = SourceConfig(
            name=vendor,
            silo=vendors()[vendor],  # type: ignore[arg-type]
            type=vendor,
            base_url=f"{address}/{vendor}",
        )

    def begin(self) -> None:
        """The warehouse, which is all the state a source has, as a first load of the world leaves it."""
        self.home.warehouse.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_first_load(self.vendor, self.build), self.home.warehouse)

    def load(self, as_of: datetime | None = None, home: Home | None = None, **more: Any) -> LoadReport:
        return load_source(self.config, as_of or self.world.now, home or self.home, **more)

    def loaded(self, as_of: datetime | None = None, **more: Any) -> dict[str, int]:
        """Load; gives what was written."""
        return written(self.load(as_of, **more))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the warehouse answers."""
        return rows(self.home.warehouse, query)

    def write(self, statement: str) -> None:
        """Change the warehouse behind the load's back."""
        with duckdb.connect(str(self.home.warehouse)) as warehouse:
            warehouse.execute(statement)

    def records(self, table: str, where: str = "true", home: Home | None = None) -> list[dict[str, Any]]:
        """Rows of a raw table as dicts, without what the load adds."""
        with duckdb.connect(str((home or self.home).warehouse), read_only=True) as warehouse:
            warehouse.execute("set timezone = 'UTC'")
            found = warehouse.execute(f"select * from raw_{self.vendor}.{table} where {where} order by all")
            names = [column[0] for column in found.description]
            shown = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return [{name: row[name] for name in names if not name.startswith("_")} for row in shown]

    def request(self, method: str, path: str, **sending: Any) -> requests.Response:
        """An authorised request."""
        key = getattr(VENDORS[self.vendor], "KEY", None)
        if self.vendor in ("chargebee", "mailshake"):
            sending["auth"] = (key, "")
        elif self.vendor == "pipedrive":
            sending["headers"] = {"x-api-token": key}
        else:
            token = key or VENDORS[self.vendor].SESSION
            sending["headers"] = {"Authorization": f"Bearer {token}"} | sending.get("headers", {})
        url = f"{self.config.base_url}/{PREFIX[self.vendor]}/{path}"
        return requests.request(method, url, timeout=5, **sending)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.request("GET", path, params=params)

    def send(self, method: str, path: str, at: str = MAY_20, **body: Any) -> Any:
        """Change something: fields of JSON for a CRM, of a form for the others. Gives the answer's body."""
        sending = {"params": {"at": at}, "json": body} if self.config.silo == "crm" else {"data": body}
        answer = self.request(method, path, **sending)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def fault(self, path: str, kind: str, times: int | None = 1, **more: Any) -> None:
        """Spoil the next answers to paths that match."""
        body = {"path": path, "kind": kind, "times": times, **more}
        requests.post(f"{self.address}/_sandbox/faults", json=body, timeout=5).raise_for_status()

    def clear_faults(self) -> None:
        requests.delete(f"{self.address}/_sandbox/faults", timeout=5).raise_for_status()


@contextlib.contextmanager
def served(vendor: str, build: Callable[[], World], root: Path) -> Iterator[Bench]:
    """A bench whose home is `root`. The sandbox does not limit its rate: that has tests of its own."""
    world = build()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VENDORS[vendor], "LIMIT", (100_000, 1))
        made = Served(app(lambda: world))
    with serving(made) as address:
        yield Bench(vendor, build, world, made, address, root)


#: First loads, each done once.
_kept = tempfile.TemporaryDirectory()


@functools.cache
def _first_load(vendor: str, build: Callable[[], World]) -> Path:
    with served(vendor, build, Path(tempfile.mkdtemp(dir=_kept.name))) as bench:
        bench.load()
        return bench.home.warehouse


def written(report: LoadReport) -> dict[str, int]:
    """Rows that a load has written, for the tables that got any."""
    tables = report.tables.items()
    return {name: t.loaded for name, t in tables if t.loaded and not name.startswith("_")}


def rows(warehouse: Path, query: str) -> list[tuple[Any, ...]]:
    """What a warehouse answers."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(query).fetchall()


def build_staging(home: Home, vendor: str, source: str, as_of: datetime) -> None:
    """dbt's staging of a vendor over what a source of this name has loaded, its tests included."""
    silo = vendors()[vendor]
    variables = {
        "as_of": as_of.isoformat(),
        "sources": [{"name": source, "silo": silo, "type": vendor}],
        "source_types": [vendor],
        "silos": [silo],
    }
    # Its own process: in-process dbt keeps the warehouse open.
    dbt = [
        *(sys.executable, "-m", "dbt.cli.main", "build", "--quiet"),
        *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
        *("--select", f"path:models/staging/{vendor}", "--vars", json.dumps(variables)),
    ]
    environment = {
        "REVOPS_WAREHOUSE": str(home.warehouse),
        "DBT_TARGET_PATH": str(home.root / "target"),
        "DBT_LOG_PATH": str(home.root / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    done = subprocess.run(dbt, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr


def staging(home: Home, vendor: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Reads the staging models of a vendor: `read(model, columns, where, order)`."""

    def read(model: str, columns: str, where: str = "true", order: str = "all") -> list[tuple[Any, ...]]:
        query = f"select {columns} from staging.stg_{vendor}__{model} where {where} order by {order}"
        return rows(home.warehouse, query)

    return read
