"""The sandbox company's HTTP server: every vendor's API, and a few paths of its own.

`/hubspot`, `/stripe` and the others answer as the vendors do: key checked, rate limited. Each is a module of
`sandbox.api` with `LIMIT`, `authorised`, `unauthorised`, `rate_limited` and `routes`. Of its own the server
has `GET /` (who is there), `POST /_sandbox/advance` {"days": n}, `POST /_sandbox/edit`
{"kind": "crm.deals", "id", "set": {...}} (see `edits.py`), and `POST` and `DELETE /_sandbox/faults`
{"path": regex, "kind", "field", "times", "seconds"} (see `faults.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.client import is_running
from sandbox.faults import Fault, Faults
from sandbox.state import Company
from sandbox.world import World
from settings.errors import UserError
from settings.vendors import vendors

VENDORS: dict[str, ModuleType] = {name: import_module(f"sandbox.api.{name}") for name in vendors()}


class RateLimiter:
    """At most so many requests in any stretch of so many seconds."""

    def __init__(self, limit: tuple[int, float], clock: Callable[[], float] = time.monotonic) -> None:
        self.requests, self.seconds = limit
        self._clock = clock
        self._passed: deque[float] = deque()

    def wait(self) -> int:
        """Count a request in and answer 0, or the seconds after which it may be tried again."""
        now = self._clock()
        while self._passed and now - self._passed[0] >= self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.requests:
            return max(1, math.ceil(self.seconds - (now - self._passed[0])))
        self._passed.append(now)
        return 0


class _Vendor:
    """A vendor's API behind its key, its rate limit and the faults asked for."""

    def __init__(self, vendor: ModuleType, get_world: Callable[[], World], faults: Faults) -> None:
        self._vendor, self._get_world, self._faults = vendor, get_world, faults
        self._limiter = RateLimiter(vendor.LIMIT)
        self._router = Router(vendor.routes(get_world))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._vendor.authorised(Request(scope)):
            await self._vendor.unauthorised()(scope, receive, send)
            return
        wait = self._limiter.wait()
        if wait:
            await self._vendor.rate_limited(wait)(scope, receive, send)
            return
        await run_in_threadpool(self._get_world)  # time may have passed: let it be simulated aside
        fault = self._faults.take(scope["path"])
        if fault is None:
            await self._router(scope, receive, send)
        else:
            await self._faulty(fault, scope, receive, send)

    async def _faulty(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        refusals: dict[str, Callable[[], Response]] = {
            "500": lambda: PlainTextResponse("Internal Server Error", 500),
            "401": self._vendor.unauthorised,
            "429": lambda: self._vendor.rate_limited(max(1, math.ceil(fault.seconds))),
        }
        if fault.kind in refusals:
            await refusals[fault.kind]()(scope, receive, send)
            return
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        status, body = await _captured(self._router, scope, receive)
        if status < 400 and body:
            body = fault.spoil(body)
        await Response(body, status, media_type="application/json")(scope, receive, send)


async def _captured(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, bytes]:
    """What an application answers."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages)


def app(
    get_world: Callable[[], World],
    advance: Callable[[int], None] | None = None,
    home: Path | None = None,
    edit: Callable[[Any], None] | None = None,
) -> Starlette:
    """The sandbox over whatever world there is, of the folder `home`.

    `advance` moves its clock, `edit` changes its records.
    """
    faults = Faults()

    async def who(_: Request) -> Response:
        world = await run_in_threadpool(get_world)
        shown = str(home.resolve()) if home else None
        return JSONResponse(
            {"sandbox": "revops", "now": world.now.isoformat(), "seed": world.seed, "home": shown}
        )

    async def move_clock(request: Request) -> Response:
        given = await _json(request)
        days = given.get("days") if isinstance(given, dict) else None
        if advance is None or not isinstance(days, int):
            return _refused('this clock cannot be moved; expected {"days": n} and a sandbox with a folder')
        try:
            advance(days)
        except UserError as exc:
            return _refused(str(exc))
        return await who(request)

    async def make_edit(request: Request) -> Response:
        if edit is None:
            return _refused("this company cannot be edited: the sandbox has no folder")
        try:
            await run_in_threadpool(edit, await _json(request))
        except (ValueError, UserError) as exc:
            return _refused(str(exc))
        return JSONResponse({}, 201)

    async def change_faults(request: Request) -> Response:
        if request.method == "DELETE":
            faults.clear()
            return JSONResponse({})
        try:
            faults.add(await _json(request))
        except ValueError as exc:
            return _refused(str(exc))
        return JSONResponse({}, 201)

    return Starlette(
        routes=[
            Route("/", who, methods=["GET"]),
            Route("/_sandbox/advance", move_clock, methods=["POST"]),
            Route("/_sandbox/edit", make_edit, methods=["POST"]),
            Route("/_sandbox/faults", change_faults, methods=["POST", "DELETE"]),
            *[Mount(f"/{name}", _Vendor(vendor, get_world, faults)) for name, vendor in VENDORS.items()],
        ],
        exception_handlers={UserError: lambda _, exc: _refused(str(exc), 503)},
    )


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None


def _refused(message: str, status: int = 400) -> Response:
    return JSONResponse({"error": message}, status)


def serve(folder: Path, host: str = "127.0.0.1", port: int = 8600, parent: int | None = None) -> None:
    """Serve the folder's company until told to stop, or until the process `parent` is no more."""
    base_url = f"http://{host}:{port}"
    found = is_running(base_url)
    if found:
        raise UserError(f"{base_url} is served already, by the sandbox of {found['home']}")
    with _listening(host, port) as taken:
        company = Company(folder)
        company.world()  # before the first request, so that none has to wait
        config = uvicorn.Config(
            app(company.world, company.advance, folder, company.edit),
            log_level="error",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        if parent is not None:
            threading.Thread(target=_stop_after, args=(parent, server), daemon=True).start()
        server.run(sockets=[taken])


def _listening(host: str, port: int) -> socket.socket:
    taken = socket.socket(socket.AF_INET)
    if os.name == "posix":
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as exc:
        taken.close()
        raise UserError(
            f"the sandbox cannot listen on {host}:{port}: {exc.strerror}. Stop the program that uses "
            "the port, or choose another"
        ) from exc
    return taken


def _stop_after(parent: int, server: uvicorn.Server) -> None:
    """Orphans stop: who started us is our parent for as long as it lives."""
    while os.getppid() == parent:
        time.sleep(0.5)
    server.should_exit = True


def main() -> int:
    """`python -m sandbox.server --folder F --port P`: a sandbox in a process of its own."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--parent", type=int, help="stop when this process, which started us, has ended")
    given = parser.parse_args()
    try:
        serve(given.folder, given.host, given.port, given.parent)
    except UserError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
