"""A webhook and a mail server of this machine, which keep what they are sent."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from revops import free_port


@dataclass
class Webhook:
    """What came in, and what it answers."""

    port: int = 0
    answers: int = 200
    received: list[dict[str, Any]] = field(default_factory=list)

    def taken(self) -> list[dict[str, Any]]:
        """What came in since it was last asked."""
        found, self.received = self.received, []
        return found

    @contextlib.contextmanager
    def answering(self, status: int) -> Iterator[None]:
        """Refuses what comes in while in the block."""
        self.answers = status
        yield
        self.answers = 200


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """Listens while in the block."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hook.answers == 200:
                hook.received.append(json.loads(body))
            self.send_response(hook.answers)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hook
        server.shutdown()


@dataclass
class Mailbox:
    """Messages as they came in."""

    port: int
    received: list[EmailMessage] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """As aiosmtpd asks for it."""
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 taken"


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Takes any e-mail while in the block."""
    box = Mailbox(free_port())
    server = Controller(box, hostname="127.0.0.1", port=box.port)
    server.start()
    try:
        yield box
    finally:
        server.stop()


def text_of(message: EmailMessage) -> str:
    """What a reader of the message sees, whichever of its parts the program shows."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    return "\n".join([str(message["subject"]), *(part.get_content() for part in parts)])
