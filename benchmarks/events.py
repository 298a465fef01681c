"""Times the load of e-mail events: from a file and from an API, beside bare DuckDB and dlt's default path.

Bare DuckDB reads and inserts the same events from the same CSV file, and from a file with the API's answers,
one event a line, of which it takes the columns that we keep. dlt's default path reads the same rows and the
same answers as dicts and merges them. Every measurement is a process of its own, so that its peak memory is
its own; seconds are of the load alone, without imports, of an API of the time in which no request is under
way (to read an answer's JSON is our time; what is done while the next page is fetched is not). Figures are
per million events, medians of the rounds; the slow paths get fewer events. Limits: a file and an API at 3
times bare DuckDB, both at least 20 times as fast as dlt's default path, memory under 2 GiB.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.asked import PEAK, Asked, Verdicts

EVENTS = 2_000_000
MOST_RATIO, LEAST_SPEEDUP, MOST_BYTES = 3.0, 20.0, 2 * 2**30
#: By path: its share of the events, and how often it is measured.
SHARES = {
    "bare DuckDB, CSV": (1.0, 3),
    "file": (1.0, 3),
    "bare DuckDB, JSON": (1.0, 3),
    "API, outside HTTP": (1.0, 1),
    "dlt's default, file": (0.05, 1),
    "dlt's default, API, outside HTTP": (0.02, 1),
}

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
_PROGRAM = (
    PEAK
    + """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
folder, events = Path(sys.argv[1]), int(sys.argv[2])
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
{body}
print(json.dumps({{"seconds": seconds, "memory": peak_bytes()}}))
"""
)
#: Counts the seconds in `waited` that dlt's REST client, and so ours, takes to send and receive.
_WAITED = """
        from benchmarks.mailbox import serving
        from dlt.sources.helpers.rest_client import RESTClient
        waited, send = 0.0, RESTClient._send_request
        def timed(self, *given, **more):
            global waited
            asked = time.perf_counter()
            try:
                return send(self, *given, **more)
            finally:
                waited += time.perf_counter() - asked
        RESTClient._send_request = timed
"""
_BODIES = {
    "bare DuckDB, CSV": """
        import duckdb
        started = time.perf_counter()
        with duckdb.connect(str(folder / "csv.duckdb")) as bare:
            bare.execute(f"create or replace table events as from read_csv('{folder}/events.csv')")
        seconds = time.perf_counter() - started
    """,
    "file": """
        import shutil
        from ingestion.core import load_source
        from settings.config import SourceConfig
        from settings.paths import Home
        config = SourceConfig(name="mail", silo="email", type="files", mapping=folder / "mapping.toml")
        shutil.rmtree(folder / "file", ignore_errors=True)
        started = time.perf_counter()
        load_source(config, AS_OF, Home(folder / "file"))
        seconds = time.perf_counter() - started
    """,
    "bare DuckDB, JSON": """
        import duckdb
        from benchmarks.mailbox import write
        if not (folder / "events.jsonl").exists():
            write(events, folder / "events.jsonl")
        started = time.perf_counter()
        with duckdb.connect(str(folder / "json.duckdb")) as bare:
            bare.execute(f'''
                create or replace table events as
                select
                    id, "actionDate" as action_date, type, recipient.id as recipient_id,
                    recipient."emailAddress" as email, campaign.id as campaign_id, message.id as message_id
                from read_json('{folder}/events.jsonl', columns = {{
                    id: 'varchar', "actionDate": 'timestamptz', type: 'varchar',
                    recipient: 'struct(id varchar, "emailAddress" varchar)',
                    campaign: 'struct(id varchar)', message: 'struct(id varchar)'
                }})
            ''')
        seconds = time.perf_counter() - started
    """,
    "API, outside HTTP": _WAITED
    + """
        import shutil
        from ingestion.core import load_source
        from settings.config import SourceConfig
        from settings.paths import Home
        shutil.rmtree(folder / "api", ignore_errors=True)
        with serving(events) as address:
            place = f"{address}/mailshake"
            config = SourceConfig(name="mail", silo="email", type="mailshake", base_url=place)
            started = time.perf_counter()
            load_source(config, AS_OF, Home(folder / "api"))
            seconds = time.perf_counter() - started - waited
    """,
    "dlt's default, file": """
        import csv, itertools, dlt
        def rows():
            with (folder / "events.csv").open() as file:
                yield from itertools.islice(csv.DictReader(file), events)
        pipeline = dlt.pipeline(
            "file", pipelines_dir=str(folder / "dlt"),
            destination=dlt.destinations.duckdb(str(folder / "default.duckdb")),
        )
        started = time.perf_counter()
        pipeline.run(dlt.resource(rows, name="events", write_disposition="merge", primary_key="event_id"))
        seconds = time.perf_counter() - started
    """,
    "dlt's default, API, outside HTTP": _WAITED
    + """
        import dlt
        from dlt.sources.helpers.rest_client.auth import HttpBasicAuth
        from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
        pipeline = dlt.pipeline(
            "api", pipelines_dir=str(folder / "dlt"),
            destination=dlt.destinations.duckdb(str(folder / "default.duckdb")),
        )
        with serving(events) as address:
            client = RESTClient(
                f"{address}/mailshake", auth=HttpBasicAuth("sandbox-mailshake-key", ""),
                paginator=JSONResponseCursorPaginator("nextToken", "nextToken"), data_selector="results",
            )
            def sent():
                yield from client.paginate("2017-04-01/activity/sent", params={"perPage": 100})
            started = time.perf_counter()
            pipeline.run(dlt.resource(sent, write_disposition="merge", primary_key="id"))
            seconds = time.perf_counter() - started - waited
    """,
}


@dataclass(frozen=True)
class Measured:
    """One path: seconds per million events, peak memory in bytes."""

    seconds: float
    memory: int


def measure(asked: Asked) -> dict[str, Measured]:
    """Every path, after the events file has been written (and so is in the file cache)."""
    import duckdb

    found = {}
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="revops-events-") as name:
        folder = Path(name)
        duckdb.connect().execute(_EVENTS_FILE.format(events=asked.events, file=folder / "events.csv"))
        (folder / "mapping.toml").write_text(_MAPPING, encoding="utf-8")
        for path in track(_BODIES, "Loading events", console=console, disable=not console.is_terminal):
            share, rounds = SHARES[path]
            answers = [_once(path, folder, int(asked.events * share)) for _ in range(rounds)]
            seconds = statistics.median(answer.seconds for answer in answers)
            found[path] = Measured(seconds, max(answer.memory for answer in answers))
    return found


def _once(path: str, folder: Path, events: int) -> Measured:
    program = _PROGRAM.format(body=textwrap.dedent(_BODIES[path]))
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(events)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{path} failed:\n{done.stderr[-2000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Measured(answer["seconds"] / events * 1e6, answer["memory"])


def verdicts(found: dict[str, Measured]) -> Verdicts:
    """The figures that have limits."""
    file, api = found["file"], found["API, outside HTTP"]
    slower = {
        "file / bare DuckDB, CSV": file.seconds / found["bare DuckDB, CSV"].seconds,
        "API outside HTTP / bare DuckDB, JSON": api.seconds / found["bare DuckDB, JSON"].seconds,
    }
    faster = {
        "dlt's default / file": found["dlt's default, file"].seconds / file.seconds,
        "dlt's default / API, outside HTTP": found["dlt's default, API, outside HTTP"].seconds / api.seconds,
    }
    memory = max(file.memory, api.memory)
    return {
        **{name: (ratio, MOST_RATIO, ratio <= MOST_RATIO) for name, ratio in slower.items()},
        **{name: (ratio, LEAST_SPEEDUP, ratio >= LEAST_SPEEDUP) for name, ratio in faster.items()},
        "peak memory, GiB": (memory / 2**30, MOST_BYTES / 2**30, memory <= MOST_BYTES),
    }


def figures(found: dict[str, Measured]) -> Any:
    """Of each what was measured."""
    return {name: vars(one) for name, one in found.items()}


def show(found: dict[str, Measured], console: Console) -> None:
    """Seconds and memory of each."""
    table = Table("events", title="Seconds per million events", title_justify="left")
    for column in ("seconds", "peak memory"):
        table.add_column(column, justify="right")
    for path, one in found.items():
        table.add_row(path, f"{one.seconds:.2f}", f"{one.memory / 2**30:.2f} GiB")
    console.print(table)
