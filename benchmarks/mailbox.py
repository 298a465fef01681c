"""A mail tool with as many events as a benchmark wants, served by the sandbox in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import uvicorn

from sandbox.api.mailshake_shapes import Index
from sandbox.server import app
from sandbox.world import Campaign, EmailEvent, Recipient, TeamMember, World

START = datetime(2025, 1, 1, tzinfo=UTC)
SENDER = "sue@acme.example"
EVENTS_EACH = 20


def world(events: int) -> World:
    """One campaign, twenty messages sent to each of its recipients."""
    now = START + timedelta(days=360)
    made = World(1, 1, START, now, "USD")
    made.email.team = [TeamMember("1", SENDER, "Sue", "Doe", START)]
    messages = [str(200 + place) for place in range(EVENTS_EACH)]
    made.email.campaigns = [Campaign("101", "Spring", "outbound", SENDER, SENDER, START, messages)]
    for place in range(events // EVENTS_EACH):
        key, email = str(1000 + place), f"p{place}@globex.example"
        made.email.recipients.append(
            Recipient(key, "101", email, "Pat", "Doe", "Globex", "active", START, START)
        )
        for step, message in enumerate(messages):
            number = place * EVENTS_EACH + step
            at = START + timedelta(seconds=number * 10)
            made.email.events.append(EmailEvent(str(10**6 + number), "101", key, message, email, "sent", at))
    return made


def write(events: int, file: Path) -> None:
    """The API's answer about each event, one a line."""
    made = world(events)
    index = Index(made)
    with file.open("wb") as lines:
        for event in made.email.events:
            lines.write(msgspec.json.encode(index.event(event)) + b"\n")


@contextlib.contextmanager
def serving(events: int) -> Iterator[str]:
    """The address while in the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(events, port), daemon=True)
    process.start()
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.1)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()


def _serve(events: int, port: int) -> None:
    made = world(events)
    uvicorn.run(app(lambda: made), port=port, log_level="error", access_log=False)
