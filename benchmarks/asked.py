"""What every benchmark has in common.

Each is a module with four functions: `measure` takes the time and gives whatever it found; of that,
`verdicts` are the figures that have limits, `show` prints all as tables, and `figures` is what JSON gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

#: Figure by name, the limit, and whether it is kept.
Verdicts = dict[str, tuple[float, float, bool]]
#: For the code of a process that is measured. Linux lets `ru_maxrss` begin with what its parent has taken;
#: macOS knows nothing else, and counts bytes.
PEAK = """
def peak_bytes():
    import resource
    try:
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""


@dataclass(frozen=True)
class Asked:
    """How much is measured, and this session's folder, where a benchmark may find another's company."""

    folder: Path
    rounds: int
    events: int
    accounts: int


class Benchmark(Protocol):
    """What `benchmarks.__main__` needs of a module."""

    def measure(self, asked: Asked) -> Any:
        """Take the time."""

    def verdicts(self, found: Any) -> Verdicts:
        """The figures that have limits."""

    def show(self, found: Any, console: Console) -> None:
        """Print the figures as tables."""

    def figures(self, found: Any) -> Any:
        """The figures as what JSON knows."""


def most(name: str, value: float, limit: float) -> Verdicts:
    """The verdict on a figure that must not be above its limit."""
    return {name: (value, limit, value <= limit)}
