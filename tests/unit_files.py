"""`systemctl` for where no systemd runs: starts and stops what unit files say, in a folder in place of `/`.

As a program: `unit_files.py start|stop|restart|enable|daemon-reload NAMES`, with UNITS_ROOT as that folder.
Services get the environment that their unit gives them and nothing else, as from systemd.
"""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

KNOWN = {
    *("Type", "User", "WorkingDirectory", "EnvironmentFile", "ExecStartPre", "ExecStart", "Restart"),
    *("RestartSec", "StateDirectory", "StateDirectoryMode", "RuntimeDirectory", "RuntimeDirectoryMode"),
    *("TimeoutStartSec", "TimeoutStopSec", "UMask", "NoNewPrivileges", "PrivateTmp", "ProtectHome"),
    *("ProtectSystem", "Description", "Wants", "After", "WantedBy"),
}


def settings(unit: Path) -> dict[str, list[str]]:
    """What a unit file says, key by key. Raises `ValueError` for a line or a key that is not known."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "[")):
            continue
        key, is_one, value = line.partition("=")
        if not is_one or key not in KNOWN:
            raise ValueError(f"{unit}: {line}")
        found[key].append(value)
    return found


def environment(files: list[str]) -> dict[str, str]:
    """What environment files say, as systemd reads them."""
    found = {}
    for file in files:
        for line in Path(file).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.partition("=")
                found[name] = value.strip("'\"")
    return found


class Units:
    """The units of a folder, and what of them runs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _file(self, name: str) -> Path:
        return self.root / "etc" / "systemd" / "system" / f"{name}.service"

    def _note(self, name: str) -> Path:
        return self.root / f"{name}.pid"

    def log(self, name: str) -> str:
        """What a unit has printed."""
        return (self.root / f"{name}.log").read_text(encoding="utf-8")

    def start(self, name: str) -> None:
        """Make its folders, run what goes before, start it. Raises what that raises."""
        unit = settings(self._file(name))
        for key, place in (("StateDirectory", "var/lib"), ("RuntimeDirectory", "run")):
            for folder in unit[key]:
                (self.root / place / folder).mkdir(parents=True, exist_ok=True)
        user = pwd.getpwuid(os.getuid())
        given = {"PATH": "/usr/local/bin:/usr/bin:/bin", "USER": user.pw_name, "UNITS_ROOT": str(self.root)}
        given |= {"HOME": str(self.root / "var/lib/revops"), **environment(unit["EnvironmentFile"])}
        (folder,) = unit["WorkingDirectory"] or [str(self.root)]
        with (self.root / f"{name}.log").open("a", encoding="utf-8") as log:
            for before in unit["ExecStartPre"]:
                subprocess.run(shlex.split(before), cwd=folder, env=given, stdout=log, stderr=log, check=True)
            (command,) = unit["ExecStart"]
            process = subprocess.Popen(
                shlex.split(command), cwd=folder, env=given, stdout=log, stderr=log, start_new_session=True
            )
        self._note(name).write_text(str(process.pid), encoding="utf-8")

    def stop(self, name: str) -> None:
        """End it, as a group. Raises `TimeoutError` if it does not within the time its unit allows."""
        if not self._note(name).exists():
            return
        group = int(self._note(name).read_text(encoding="utf-8"))
        limit = float((settings(self._file(name))["TimeoutStopSec"] or ["90"])[0])
        deadline = time.monotonic() + limit
        try:
            os.killpg(group, signal.SIGTERM)
            while any(_is_alive(process) for process in _group(group)):
                if time.monotonic() > deadline:
                    os.killpg(group, signal.SIGKILL)
                    raise TimeoutError(f"{name} did not end in {limit:.0f} s")
                time.sleep(0.1)
        except ProcessLookupError:
            pass
        self._note(name).unlink()

    def running(self) -> list[str]:
        """Whatever process still has this folder in its environment."""
        own = f"UNITS_ROOT={self.root}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if own in (process / "environ").read_bytes().split(b"\0") and _is_alive(process):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


def _group(group: int) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            found.append(process)
    return found


def _is_alive(process: Path) -> bool:
    """A process that has ended and that nobody has asked about is none."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def main(action: str, *arguments: str) -> None:
    """What `systemctl` is asked for."""
    units = Units(Path(os.environ["UNITS_ROOT"]))
    names = [name for name in arguments if not name.startswith("-")]
    if action == "daemon-reload":
        return
    if action not in ("enable", "start", "stop", "restart"):
        raise ValueError(action)
    for name in names:
        if action in ("stop", "restart"):
            units.stop(name)
        if action in ("start", "restart") or (action == "enable" and "--now" in arguments):
            units.start(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
