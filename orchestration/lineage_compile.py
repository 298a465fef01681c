"""The SQL of every dbt model, compiled without a warehouse, in a process of its own.

In: the variables as JSON, as the only argument; DBT_PARTIAL_PARSE_FILE_PATH names what dbt kept of parsing
the project with them. Out: one line of JSON, each SQL model's id and its compiled SQL. Whether the
warehouse exists, and who is writing it, makes no difference: what asks the database finds an empty one, in
memory.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

QUIET = ["--log-level", "none", "--log-level-file", "none"]
MODELS = ["--select", "resource_type:model", "--indirect-selection", "empty", "--no-write-json"]


def main() -> None:
    """Parse with the profile that the project was parsed with, compile with another database."""
    with tempfile.TemporaryDirectory() as target:
        shared = ["--vars", sys.argv[1], "--target-path", target]
        parsed = dbtRunner().invoke([*QUIET, "parse", *shared])
        if not isinstance(parsed.result, Manifest):
            sys.exit(f"dbt cannot parse the project: {parsed.exception}")
        os.environ["REVOPS_WAREHOUSE"] = ":memory:"
        done = dbtRunner(manifest=parsed.result).invoke([*QUIET, "compile", *MODELS, *shared])
    if not done.success or not isinstance(done.result, RunExecutionResult):
        sys.exit(f"dbt cannot compile the project: {done.exception or done.result}")
    nodes = [result.node for result in done.result.results]
    sql = [node for node in nodes if isinstance(node, ModelNode) and node.language == "sql"]
    print(json.dumps({node.unique_id: node.compiled_code for node in sql}))


if __name__ == "__main__":
    main()
