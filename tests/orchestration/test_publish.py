"""Publication: what readers see, at every instant."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from kpi_tables import KPIS
from revops import ROOT

from orchestration.publish import KEPT_VERSIONS, publish
from settings.paths import Home

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)

READER = """
import duckdb, pathlib, sys
seen = 0
while True:
    with duckdb.connect(sys.argv[1], read_only=True) as marts:
        both = "select version from marts.a union all select version from marts.b"
        versions = {row[0] for row in marts.execute(both).fetchall()}
    folder = pathlib.Path(sys.argv[2]).resolve()  # several files, one version
    parquet = duckdb.sql(f"select distinct version from read_parquet('{folder}/[ab].parquet')").fetchall()
    assert len(versions) == 1 and len(parquet) == 1, (versions, parquet)
    seen += 1
    print(seen, flush=True)
"""


def write_marts(home: Home, version: int, rows: int = 1000) -> None:
    """A warehouse with two marts of one version."""
    home.root.mkdir(parents=True, exist_ok=True)
    home.marts.mkdir(exist_ok=True)
    with duckdb.connect(str(home.warehouse)) as warehouse:
        for table, columns in KPIS.items():
            warehouse.execute(f"create schema if not exists {table.split('.')[0]}")
            warehouse.execute(f"create table if not exists {table} ({columns})")
        for name in ("a", "b"):
            warehouse.execute(
                f"create or replace table marts.{name} as"
                f" select range as n, {version} as version, 1.10::decimal(18, 2) as money from range({rows})"
            )
            warehouse.execute(f"comment on table marts.{name} is 'One row per n.'")
            warehouse.execute(f"comment on column marts.{name}.n is 'Counts.'")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def versions(home: Home) -> list[str]:
    return sorted(path.name for path in (home.marts / "versions").iterdir())


def test_tables_comments_and_parquet_are_published(home: Home) -> None:
    write_marts(home, 1)
    done = publish(home, AS_OF)
    assert done.rows == {"a": 1000, "b": 1000, "kpi_reported": 0, "kpi_values": 0}
    with duckdb.connect(str(done.database), read_only=True) as marts:
        assert marts.execute("select sum(money) from marts.a").fetchall()[0][0] == 1100
        said = marts.execute(
            "select comment from duckdb_tables() union all select comment from duckdb_columns()"
        )
        assert {"One row per n.", "Counts."} <= {row[0] for row in said.fetchall()}
        tags = marts.execute("select tags from duckdb_databases() where path like '%.duckdb'").fetchall()
    assert "v1.4" in str(tags)
    kept = duckdb.sql(f"select count(*), sum(money) from read_parquet('{done.parquet}/a.parquet')").fetchall()
    assert kept == [(1000, 1100)]


def test_readers_in_a_loop_see_whole_versions_only(home: Home) -> None:
    write_marts(home, 0)
    done = publish(home, AS_OF)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(done.database), str(done.parquet)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    reader.stdout.readline()
    for version in range(1, 8):
        write_marts(home, version)
        publish(home, AS_OF)
    reader.stdout.readline()
    reader.terminate()
    _, complaints = reader.communicate()
    assert complaints == ""


def test_a_connection_that_stays_open_keeps_its_version(home: Home) -> None:
    write_marts(home, 1)
    publish(home, AS_OF)
    with duckdb.connect(str(home.marts / "current.duckdb"), read_only=True) as old:
        for version in range(2, 2 + KEPT_VERSIONS + 1):
            write_marts(home, version)
            publish(home, AS_OF)
        assert old.execute("select distinct version from marts.a").fetchall() == [(1,)]
    assert len(versions(home)) == KEPT_VERSIONS


def test_a_publication_that_fails_leaves_nothing_behind(home: Home) -> None:
    write_marts(home, 1)
    publish(home, AS_OF)
    before = versions(home)
    write_marts(home, 2, rows=400_000)
    small = 64 * 1024

    def on_a_full_disk() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, small))

    code = (
        "import sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from orchestration.publish import publish; from settings.paths import Home\n"
        "publish(Home(Path(sys.argv[1])), datetime(2026, 11, 2, tzinfo=UTC))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home.root)],
        preexec_fn=on_a_full_disk,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "UserError: the marts could not be published" in done.stderr
    assert "as it was" in done.stderr
    assert versions(home) == before
    with duckdb.connect(str(home.marts / "current.duckdb"), read_only=True) as marts:
        assert marts.execute("select distinct version from marts.a").fetchall() == [(1,)]
    publish(home, AS_OF)
    with duckdb.connect(str(home.marts / "current.duckdb"), read_only=True) as marts:
        assert marts.execute("select distinct version from marts.a").fetchall() == [(2,)]
