"""dbt in a process that waits for commands: imports and the parsed project are paid for once a run.

In: the variables as JSON, as the only argument; then on standard input one JSON list of dbt arguments a line.
A project that was parsed with these variables but `as_of`, which only compiling needs, is not parsed again:
DBT_PARTIAL_PARSE_FILE_PATH names what dbt kept of it.
Out: dbt's events as JSON lines, and after each command {"succeeded": true or false}. Between commands no
database is open. It ends with its standard input, or with the process that started it.
"""

from __future__ import annotations

import importlib
import json
import sys

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from orchestration.helper import collect_seldom, end_with_parent

LOG = ["--log-format", "json", "--log-level-file", "none", "--no-use-colors"]


def main() -> None:
    """Parse, then run one command after another."""
    end_with_parent()
    collect_seldom()
    lasting = {name: value for name, value in json.loads(sys.argv[1]).items() if name != "as_of"}
    quiet = [*LOG, "--log-level", "error", "--no-write-json"]
    parsed = dbtRunner().invoke([*quiet, "parse", "--vars", json.dumps(lasting)])
    # What the identity models import; nobody waits for it here, while the sources load.
    importlib.import_module("splink")
    for line in sys.stdin:
        succeeded = False
        if isinstance(parsed.result, Manifest):
            succeeded = (
                dbtRunner(manifest=parsed.result)
                .invoke([*LOG, *json.loads(line), "--vars", sys.argv[1]])
                .success
            )
            if DuckDBConnectionManager._ENV is not None:
                DuckDBConnectionManager._ENV.close()
            DuckDBConnectionManager.close_all_connections()
        print(json.dumps({"succeeded": succeeded}), flush=True)


if __name__ == "__main__":
    main()
