"""The sandbox company's clock: which company it is, and how far its time has gone on.

A small file holds what `simulate` needs, and the edits made since (see `edits.py`); the world itself is never
stored. So a server that is stopped and started again shows the same world, and only edits made through the
vendors' APIs are forgotten.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sandbox import edits
from sandbox.files import write_finance
from sandbox.simulation import START, simulate
from sandbox.simulation.timeline import add_months
from sandbox.world import World
from settings.config import Sandbox
from settings.errors import UserError

#: Beyond it the simulation's dates end.
MOST_DAYS = 36_500


@dataclass(frozen=True)
class State:
    """What the world is simulated from; `days` is how far its clock was advanced."""

    seed: int = 7
    months: int = 24
    size: int = 300
    start: datetime = START
    days: int = 0
    noise: bool = True
    edits: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    @classmethod
    def of(cls, asked: Sandbox) -> State:
        """The company that revops.toml asks for, at the end of its first `months`."""
        return cls(asked.seed, asked.months, asked.size, noise=asked.noise)

    @property
    def now(self) -> datetime:
        """The company's present."""
        return add_months(self.start, self.months) + timedelta(days=self.days)

    def simulate(self) -> World:
        """The company at its present, as it was edited."""
        world = simulate(self.seed, self.months, self.size, self.start, self.now, self.noise)
        try:
            edits.apply(world, self.edits)
        except ValueError as exc:
            raise UserError(
                f"an edit of the sandbox company cannot be made any more: {exc}. Run `revops sandbox reset`"
            ) from exc
        return world


def state_file(folder: Path) -> Path:
    """Where a folder keeps its company's state."""
    return folder / "state.json"


def read_state(folder: Path) -> State:
    """The folder's company; the default one where there is none yet."""
    path = state_file(folder)
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        start = datetime.fromisoformat(raw["start"])
        numbers = {key: int(raw[key]) for key in ("seed", "months", "size", "days")}
        return State(**numbers, start=start, noise=bool(raw["noise"]), edits=tuple(raw.get("edits", ())))
    except FileNotFoundError:
        return State()
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise UserError(
            f"{path} does not describe a sandbox company ({type(exc).__name__}: {exc}). "
            "Delete it, or run `revops sandbox reset`"
        ) from exc


def write_state(folder: Path, state: State) -> State:
    """Make this the folder's company; a server that runs on the folder follows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = state_file(folder)
    part = path.with_suffix(".json.part")
    text = json.dumps(vars(state) | {"start": state.start.isoformat()})
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)
    return state


def prepare(folder: Path, asked: State) -> State:
    """The folder's company as it has become; a new one if the folder has none, or another one."""
    found = read_state(folder)
    if state_file(folder).exists() and replace(found, days=asked.days, start=asked.start, edits=()) == asked:
        return found
    return write_state(folder, asked)


def advance(folder: Path, days: int) -> State:
    """Let time pass in the folder's company."""
    state = read_state(folder)
    if not 1 <= days <= MOST_DAYS - state.days:
        raise UserError(
            f"the sandbox's clock can be advanced by 1 to {MOST_DAYS - state.days} days, not {days}"
        )
    return write_state(folder, replace(state, days=state.days + days))


class Company:
    """The company of a folder, simulated anew whenever its state changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._world: World | None = None

    def world(self) -> World:
        """The world at the present of the state file; finance's spreadsheets are written with it."""
        with self._lock:
            return self._present()

    def advance(self, days: int) -> None:
        """Let time pass."""
        advance(self.folder, days)

    def edit(self, given: Any) -> None:
        """Make an edit, as `edits.py` describes it, in the world and in the state file.

        Raises ValueError saying what is wrong with it; nothing has changed then.
        """
        with self._lock:
            world = self._present()
            edit = edits.entered(world, given)
            edits.apply(world, [edit])
            state = read_state(self.folder)
            write_state(self.folder, replace(state, edits=(*state.edits, edit)))
            if edit["kind"].startswith("finance."):
                write_finance(world, self.folder / "finance")
            # Another object, so that nobody who keeps something by the world takes it for the one before.
            self._world, self._stamp = replace(world), self._read_stamp()

    def _present(self) -> World:
        stamp = self._read_stamp()
        if self._world is None or stamp != self._stamp:
            self._world, self._stamp = read_state(self.folder).simulate(), stamp
            write_finance(self._world, self.folder / "finance")
        return self._world

    def _read_stamp(self) -> tuple[int, int] | None:
        try:
            found = state_file(self.folder).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino
