"""Runs the real `revops` command as a user does, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duckdb

ROOT = Path(__file__).parent.parent
COMMAND = Path(sys.executable).with_name("revops")


@dataclass
class Revops:
    """A state folder and a configuration; `revops(...)` runs the command on them."""

    home: Path
    config: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, exits: int = 0) -> subprocess.CompletedProcess[str]:
        """Run to the end; fails the test if the exit code is not the expected one."""
        done = self.start(*arguments)
        out, err = done.communicate(timeout=600)
        shown = f"revops {' '.join(arguments)} exited with {done.returncode}\n{out[-3000:]}\n{err[-3000:]}"
        assert done.returncode == exits, shown
        assert "Traceback" not in out + err, shown
        return subprocess.CompletedProcess(arguments, done.returncode, out, err)

    def start(self, *arguments: str, into: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Begin, without waiting for the end. What talks for long needs a file: nobody empties the pipe."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("REVOPS_", "DAGSTER_", "DBT_"))}
        kept = {k: v for k, v in os.environ.items() if k == "REVOPS_REAL_DATA"}
        own = {"REVOPS_HOME": str(self.home), "REVOPS_CONFIG": str(self.config)}
        return subprocess.Popen(
            [str(COMMAND), *arguments],
            cwd=self.config.parent,
            env={**inherited, **kept, **own, **self.environment},
            stdout=into,
            stderr=into,
            text=True,
        )

    def json(self, *arguments: str) -> Any:
        """What a command says with `--format json`."""
        return json.loads(self(*arguments, "--format", "json").stdout)

    def kpi(self, name: str, period: str, by: str = "all") -> list[dict[str, Any]]:
        """Published rows of one KPI."""
        rows = self.json("kpis", "--kpi", name, "--period", period, "--by", by)
        assert isinstance(rows, list)
        return rows

    def warehouse(self) -> duckdb.DuckDBPyConnection:
        """The warehouse, to look into."""
        return _utc(duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True))

    def marts(self) -> duckdb.DuckDBPyConnection:
        """The published marts, as a BI tool opens them."""
        return _utc(duckdb.connect(str(self.home / "marts" / "current.duckdb"), read_only=True))

    def tables(self, like: str = "%", without: str = "") -> dict[str, tuple[int, Any]]:
        """Rows and a checksum of every table of the warehouse in schemas that match, dlt's own left out."""
        with self.warehouse() as connection:
            return checksums(connection, like, without)

    def published(self) -> dict[str, tuple[int, Any]]:
        """Rows and a checksum of every published mart."""
        with self.marts() as connection:
            return checksums(connection, "marts")


def checksums(
    connection: duckdb.DuckDBPyConnection, like: str, without: str = ""
) -> dict[str, tuple[int, Any]]:
    """Table -> rows, and a sum over the rows' hashes, which no order changes.

    `without`: columns to leave out, as a regular expression.
    """
    names = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables()"
        " where schema_name like $like and table_name not like '\\_dlt%' escape '\\' order by all",
        {"like": like},
    ).fetchall()
    columns = f"columns(name -> not regexp_matches(name, '^({without})$'))"
    found = {}
    for (name,) in names:
        schema, table = name.split(".", 1)
        row = connection.execute(
            "select count(*), sum(hash(rows::text))"
            f' from (select {columns} from "{schema}"."{table}") as rows'
        ).fetchone()
        assert row is not None
        found[name] = row
    return found


def _utc(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("set timezone = 'UTC'")
    return connection


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


#: The companies that tests of several files share, once run.
SMALL = {"size": 40, "months": 12}
NOISY = {
    7: {"size": 300, "months": 24},
    11: {"size": 120, "months": 14},
    23: {"size": 120, "months": 14},
}

#: For [thresholds], where a test is not about what the gates hold back.
PUBLISHED_ANYWAY = "\n[thresholds]\nhold_share = 1\n"


def sandbox_company(
    folder: Path, size: int = 300, months: int = 24, extra: str = "", *, seed: int = 7, noise: bool = False
) -> Revops:
    """The project's own revops.toml on a free port, with another company if asked for.

    Without noise, which is for tests of who is who: the others have nothing in their way.
    """
    text = (ROOT / "revops.toml").read_text(encoding="utf-8")
    for old, new in (
        ("port = 8600", f"port = {free_port()}"),
        ("size = 300", f"size = {size}"),
        ("months = 24", f"months = {months}"),
        ("seed = 7", f"seed = {seed}"),
        ("noise = true", f"noise = {str(noise).lower()}"),
        ('"mappings/', f'"{ROOT}/mappings/'),
    ):
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "revops.toml"
    config.write_text(text + extra, encoding="utf-8")
    return Revops(folder / "home", config)


def copied(revops: Revops, folder: Path) -> Revops:
    """A company as it is after its runs, in a folder and on a port of its own."""
    shutil.copytree(revops.config.parent, folder, symlinks=True, dirs_exist_ok=True)
    config = folder / revops.config.name
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r"port = \d+", f"port = {free_port()}", text), encoding="utf-8")
    return Revops(folder / "home", config)


def seen_through(folder: Path, crm: str, email: str, billing: str, size: int, months: int) -> Revops:
    """The noisy company as these vendors show it; sources are named by silo, whoever the vendor is.

    Published whatever the gates find.
    """
    revops = sandbox_company(folder, size, months, noise=True)
    text = revops.config.read_text(encoding="utf-8")
    port = text.split("port = ")[1].split()[0]
    listed = 'vendors = ["hubspot", "mailshake", "stripe"]'
    assert listed in text
    sources = "".join(
        f'[sources.{silo}]\nsilo = "{silo}"\ntype = "{vendor}"\nbase_url = "http://127.0.0.1:{port}/{vendor}"\n'
        for silo, vendor in (("crm", crm), ("email", email), ("billing", billing))
    )
    revops.config.write_text(text.replace(listed, "") + sources + PUBLISHED_ANYWAY, encoding="utf-8")
    return revops
