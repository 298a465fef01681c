"""The gates in a process that waits for the models: Great Expectations takes seconds to import.

In: on standard input the arguments of `expectations.engine.run_gates`, pickled. Out: on standard output what
libraries print, then a line of ANSWER and, pickled and in Base64, a dict: its `report`, or what it `told` the
user, or what it `said` and the `trace` of where. It ends then, or with the process that started it.
"""

from __future__ import annotations

import base64
import pickle
import signal
import sys
import traceback
from typing import Any

from orchestration.helper import collect_seldom, end_with_parent
from settings.errors import UserError

ANSWER = b"answer: "


def main() -> None:
    """Import, wait, evaluate, answer."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is half done is undone
    end_with_parent()
    collect_seldom()
    answer = _answer()
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\n" + ANSWER + base64.b64encode(pickle.dumps(answer)) + b"\n")


def _answer() -> dict[str, Any]:
    try:
        from expectations import duckdb_engine  # noqa: F401
        from expectations.engine import run_gates

        return {"report": run_gates(*pickle.load(sys.stdin.buffer))}
    except UserError as exc:
        return {"told": str(exc)}
    except Exception as exc:
        said = "".join(traceback.format_exception_only(exc)).strip()
        return {"said": said, "trace": traceback.format_exc()}


if __name__ == "__main__":
    main()
