"""What Dagster wrote down of a failure, and what of it is meant for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from settings.errors import MEANT_FOR_USERS

_INTERRUPTIONS = ("DagsterExecutionInterruptedError", KeyboardInterrupt.__name__)


@dataclass(frozen=True)
class Fault:
    """`told` is the message meant for users, if any; `kind` and `said` are of what went wrong first."""

    told: str | None
    kind: str
    said: str
    is_interruption: bool


def fault(error: Any) -> Fault | None:
    """In: Dagster's `SerializableErrorInfo` with its causes. None if it has none."""
    chain = [*_chain(error)]
    if not chain:
        return None
    meant = [str(one.message) for one in chain if one.cls_name in MEANT_FOR_USERS]
    return Fault(
        told=meant[0].split(": ", 1)[1].strip() if meant else None,
        kind=chain[-1].cls_name,
        said=str(chain[-1].message).strip(),
        is_interruption=any(one.cls_name in _INTERRUPTIONS for one in chain),
    )


def _chain(error: Any) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.cause
