"""Times the load of e-mail events: from a file and from an API, beside bare DuckDB and dlt's default path.

Every measurement is a process of its own, so that its peak memory is its own; seconds are of the load alone,
without imports. Figures are per million events, since the slow paths get fewer. Limits: a file at 3 times
bare DuckDB, an API's time outside HTTP at 3 times the same, both at least 20 times as fast as dlt's default
path, memory under 2 GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

EVENTS = 2_000_000
MOST_RATIO, LEAST_SPEEDUP, MOST_BYTES = 3.0, 20.0, 2 * 2**30
#: The slow paths get this share of the events.
SHARES = {"bare DuckDB": 1.0, "file": 1.0, "API, outside HTTP": 0.1, "dlt's default": 0.025}

_EVENTS_FILE = """
copy (
    select
        'e' || range as event_id, 'c' || range % 50 as campaign_id, 'r' || range % 200000 as recipient_id,
        'm' || range % 150 as message_id, 'p' || range % 200000 || '@example.test' as email,
        ['sent', 'open', 'click', 'reply'][1 + range % 4] as event_type,
        timestamptz '2025-01-01' + to_seconds(range * 13) as occurred_at, range % 9 = 0 as is_machine
    from range({events})
) to '{file}' (header)
"""
_MAPPING = """
[files]
events = "events.csv"
[tables.events]
from = "events"
[tables.events.columns]
event_id = "event_id"
campaign_id = "campaign_id"
recipient_id = "recipient_id"
message_id = "message_id"
email = "email"
event_type = "event_type"
occurred_at = "occurred_at"
is_machine = "is_machine"
"""
_PROGRAM = """
import json, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
folder, events = Path(sys.argv[1]), int(sys.argv[2])
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
{body}
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({{"seconds": seconds, "memory": memory}}))
"""
_BODIES = {
    "bare DuckDB": """
        import duckdb
        started = time.perf_counter()
        with duckdb.connect(str(folder / "bare.duckdb")) as bare:
            bare.execute(f"create table events as from read_csv('{folder}/events.csv')")
        seconds = time.perf_counter() - started
    """,
    "file": """
        from ingestion.core import load_source
        from settings.config import SourceConfig
        from settings.paths import Home
        config = SourceConfig(name="mail", silo="email", type="files", mapping=folder / "mapping.toml")
        started = time.perf_counter()
        load_source(config, AS_OF, Home(folder / "file"))
        seconds = time.perf_counter() - started
    """,
    "API, outside HTTP": """
        from benchmarks.mailbox import serving
        from ingestion.core import load_source
        from ingestion.http import VendorClient
        from settings.config import SourceConfig
        from settings.paths import Home
        waited, send = 0.0, VendorClient._send_request
        def timed(self, *given, **more):
            global waited
            asked = time.perf_counter()
            try:
                return send(self, *given, **more)
            finally:
                waited += time.perf_counter() - asked
        VendorClient._send_request = timed
        with serving(events) as address:
            place = f"{address}/mailshake"
            config = SourceConfig(name="mail", silo="email", type="mailshake", base_url=place)
            started = time.perf_counter()
            load_source(config, AS_OF, Home(folder / "api"))
            seconds = time.perf_counter() - started - waited
    """,
    "dlt's default": """
        import csv, itertools, dlt
        def rows():
            with (folder / "events.csv").open() as file:
                yield from itertools.islice(csv.DictReader(file), events)
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=str(folder / "dlt"),
            destination=dlt.destinations.duckdb(str(folder / "default.duckdb")),
        )
        started = time.perf_counter()
        pipeline.run(dlt.resource(rows, name="events", write_disposition="merge", primary_key="event_id"))
        seconds = time.perf_counter() - started
    """,
}


@dataclass(frozen=True)
class Measured:
    """One path: seconds per million events, peak memory in bytes."""

    seconds: float
    memory: int


def measure(events: int = EVENTS) -> dict[str, Measured]:
    """Every path once, after the events file has been written (and so is in the file cache)."""
    import duckdb

    found = {}
    with tempfile.TemporaryDirectory(prefix="revops-events-") as name:
        folder = Path(name)
        duckdb.connect().execute(_EVENTS_FILE.format(events=events, file=folder / "events.csv"))
        (folder / "mapping.toml").write_text(_MAPPING, encoding="utf-8")
        for path, body in _BODIES.items():
            given = int(events * SHARES[path])
            program = _PROGRAM.format(body=textwrap.dedent(body))
            done = subprocess.run(
                [sys.executable, "-c", program, str(folder), str(given)], capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(f"{path} failed:\n{done.stderr[-2000:]}")
            answer = json.loads(done.stdout.splitlines()[-1])
            found[path] = Measured(answer["seconds"] / given * 1e6, answer["memory"])
    return found


def verdicts(found: dict[str, Measured]) -> dict[str, tuple[float, float, bool]]:
    """Ratio or bytes by name, the limit, and whether it is kept."""
    bare, file = found["bare DuckDB"].seconds, found["file"].seconds
    api, default = found["API, outside HTTP"].seconds, found["dlt's default"].seconds
    memory = max(found[path].memory for path in ("file", "API, outside HTTP"))
    return {
        "file / bare DuckDB": (file / bare, MOST_RATIO, file / bare <= MOST_RATIO),
        "API outside HTTP / bare DuckDB": (api / bare, MOST_RATIO, api / bare <= MOST_RATIO),
        "dlt's default / file": (default / file, LEAST_SPEEDUP, default / file >= LEAST_SPEEDUP),
        "dlt's default / API outside HTTP": (default / api, LEAST_SPEEDUP, default / api >= LEAST_SPEEDUP),
        "peak memory, GiB": (memory / 2**30, MOST_BYTES / 2**30, memory <= MOST_BYTES),
    }


def show(found: dict[str, Measured], console: Console) -> None:
    """The figures, and how they stand to the limits."""
    table = Table("events", title="Seconds per million events", title_justify="left")
    for column in ("seconds", "peak memory"):
        table.add_column(column, justify="right")
    for path, one in found.items():
        table.add_row(path, f"{one.seconds:.2f}", f"{one.memory / 2**30:.2f} GiB")
    console.print(table)
    for name, (value, limit, is_kept) in verdicts(found).items():
        console.print(f"{name}: {value:.2f} (limit {limit:g}){'' if is_kept else ' MISSED'}")
