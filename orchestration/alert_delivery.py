"""Alerts on their way to people, by Apprise: webhooks, chats, e-mail and whatever else it has an address for.

An address holds a secret, so dlt's providers keep it, and nothing here ever shows one: they are called by
their place in the list and their kind, such as `2 slack`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import dlt

from settings.errors import UserError

SETTING = "alerts.addresses"
HOW_TO = (
    "Set the environment variable ALERTS__ADDRESSES, or addresses under [alerts] in .dlt/secrets.toml, to "
    "addresses as Apprise writes them, such as slack://..., mailto://... or json://host/path for a webhook"
)
#: For one address to take one alert; the sensor's tick has a minute for all.
SECONDS_EACH = 12

#: What an e-mail address looks like in a message, also as a part of a web address.
EMAIL = re.compile(r"[^\s@<>(),;|'\"]+(?:@|%40)[^\s@<>(),;|'\"]+")
#: A database says which value it could not read; whose data that is, nobody knows.
VALUE = re.compile(r"\b(string|value|Duplicate key) ('[^']*'|\"[^\"]*\")")
#: Shorter than this, a setting is no secret but would blot out half a message.
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Alert:
    """What people are told; `kind` is how bad it is: failure, warning, success or info."""

    kind: str
    title: str
    body: str


@dataclass(frozen=True)
class Address:
    """Somewhere alerts go to; `service` is Apprise's, None if it cannot tell what the address means."""

    label: str
    service: Any = field(repr=False)


def are_configured() -> bool:
    """Whether anybody is to hear of anything."""
    return bool(dlt.secrets.get(SETTING))


def addresses(ui_url: str) -> list[Address]:
    """Where alerts go to, in the order they are written in.

    In: `ui_url`, what services link their messages to.
    """
    from apprise import Apprise, AppriseAsset

    logging.getLogger("apprise").propagate = False  # it names hosts and recipients
    asset = AppriseAsset(
        app_id="revops-warehouse",
        app_desc="Alerts of the revenue warehouse",
        app_url=ui_url,
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
    )
    found = []
    for place, address in enumerate(_written(), 1):
        service = Apprise.instantiate(address, asset=asset)
        kind = service.schema if service is not None else "(no address that Apprise knows)"
        found.append(Address(f"{place} {kind}", service))
    return found


def send(address: Address, alert: Alert, asset_timeout: float = SECONDS_EACH) -> str | None:
    """Hand an alert over. Out: None, or why the address did not take it, without saying what it is."""
    from apprise import Apprise, NotifyFormat, NotifyType

    if address.service is None:
        return f"Apprise does not know such an address. {HOW_TO}"
    sender = Apprise()
    sender.add(address.service)
    result = sender.notify(
        title=hidden(alert.title),
        body=hidden(alert.body),
        notify_type=NotifyType(alert.kind),
        body_format=NotifyFormat.TEXT,
        timeout=asset_timeout,
        log_level=logging.WARNING,
    )
    if result:
        return None
    said = " ".join(str(entry.message) for entry in result.logs())
    refused = re.search(r"error=(\d{3})", said)
    if refused:
        return f"it answered with HTTP {refused[1]}"
    if re.search("connection error|timed? ?out", f"{said} {result.status}", re.IGNORECASE):
        return "it cannot be reached, or did not take it in time"
    return "it did not take it"


def hidden(text: str) -> str:
    """The text without anybody's e-mail address, any value a database quotes, or any configured secret."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "(secret)")
    return VALUE.sub(r"\1 (not shown)", EMAIL.sub("(e-mail address)", text))


def tried(found: Collection[Address], alert: Alert) -> list[tuple[Address, str | None]]:
    """Send an alert to each address once. Raises `UserError` if there is none."""
    if not found:
        raise UserError(f"no alert goes to anybody. {HOW_TO}")
    return [(address, send(address, alert)) for address in found]


def _written() -> list[str]:
    from apprise.utils.parse import parse_urls

    given: Any = dlt.secrets.get(SETTING) or []
    listed: list[Any] = [given] if isinstance(given, str) else given
    return [address for one in listed for address in parse_urls(str(one))]


def _secrets() -> Collection[str]:
    """Every secret that a message could repeat by mistake, whichever of dlt's providers holds it."""
    held = [value for name, value in os.environ.items() if name.startswith(("SOURCES__", "ALERTS__"))]
    held += _leaves(dlt.secrets.get("sources"))
    return {value for value in (*held, *_written()) if len(value) >= SHORTEST_SECRET}


def _leaves(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for inner in found.values():
            yield from _leaves(inner)
    elif found is not None:
        yield str(found)
