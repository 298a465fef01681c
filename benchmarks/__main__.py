"""Runs the benchmarks, or those that are named; ends with 1 if a limit is passed."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from rich.console import Console

from benchmarks import dagster, events, gates, identity, kpis
from benchmarks.asked import Asked, Benchmark, Verdicts

#: In the order in which they are run: the gates go on with the KPIs' company.
BENCHMARKS: dict[str, Benchmark] = {
    "dagster": dagster,
    "events": events,
    "identity": identity,
    "kpis": kpis,
    "gates": gates,
}


def main() -> int:
    """Measure and report."""
    listed = "\n".join(f"  {name:10}{_first_line(module)}" for name, module in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{__doc__}\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help="which; default: all of them")
    parser.add_argument("--rounds", type=int, default=3, help="times each command of `dagster` is run")
    parser.add_argument("--events", type=int, default=events.EVENTS, help="events that are loaded, and gated")
    parser.add_argument(
        "--accounts",
        type=int,
        default=identity.ACCOUNTS,
        help="accounts to tell apart; twice as many for the KPIs and the gates",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there is {', '.join(BENCHMARKS)}")
    chosen = {name: one for name, one in BENCHMARKS.items() if name in given.names or not given.names}
    with tempfile.TemporaryDirectory(prefix="revops-bench-") as folder:
        asked = Asked(Path(folder), given.rounds, given.events, given.accounts)
        found = {name: one.measure(asked) for name, one in chosen.items()}
    verdicts: Verdicts = {}
    for name, one in chosen.items():
        verdicts |= one.verdicts(found[name])
    good = all(is_kept for _, _, is_kept in verdicts.values())
    if given.format == "json":
        shown = {name: one.figures(found[name]) for name, one in chosen.items()}
        limits = {name: {"value": value, "limit": limit} for name, (value, limit, _) in verdicts.items()}
        print(json.dumps({**shown, **limits, "good": good}))
    else:
        console = Console()
        for name, one in chosen.items():
            one.show(found[name], console)
            for figure, (value, limit, is_kept) in one.verdicts(found[name]).items():
                missed = "" if is_kept else " MISSED"
                console.print(f"{figure}: {value:.2f} (limit {limit:g}){missed}")
    return 0 if good else 1


def _first_line(module: object) -> str:
    assert isinstance(module, ModuleType) and module.__doc__ is not None
    return module.__doc__.splitlines()[0]


if __name__ == "__main__":
    sys.exit(main())
